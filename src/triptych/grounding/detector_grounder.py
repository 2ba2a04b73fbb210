"""Grounding by a detector alone: expressions become calls by rules, no language model has a say."""

from __future__ import annotations

from collections.abc import Sequence

from triptych.conversation import Image
from triptych.grounding.call_grounder import choose
from triptych.grounding.calls import Call
from triptych.grounding.detectors.detector import Detector
from triptych.grounding.expression_calls import write_call_of
from triptych.grounding.grounding import Grounding, words_of


class DetectorGrounder:
    """A detector that is asked for expressions (`Grounder`): what a model that calls it could reach at best.

    It understands places, order, relations and number ("the second dog from the left", "all people"); any other expression
    it takes for the name of a thing, without its dots.

    Args:
        detector: Who looks.
    """

    prompt = "{expression}"

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def ground(self, image: Image, expression: str) -> Grounding:
        """See `Grounder.ground`."""
        return self.ground_many([(image, expression)])[0]

    def ground_many(self, pairs: Sequence[tuple[Image, str]]) -> list[Grounding]:
        """See `Grounder.ground_many`."""
        calls = [Call("detector", *write_call_of(words_of(expression))) for _, expression in pairs]
        found = self.detector.detect_many([image for image, _ in pairs], [call.wanted for call in calls])
        answers = []
        for call, boxes in zip(calls, found, strict=True):
            chosen = [one for _, group in choose(call, boxes) for one in group]
            regions = tuple(one.region for one in chosen)
            text = f"{call.caption}: {call.select}"
            answers.append(Grounding(regions, tuple(one.score for one in chosen), text, "valid" if chosen else "none"))
        return answers

"""Whoever can be asked beside a run: checkpoints of transformers, endpoints, models that know nothing."""

from __future__ import annotations

import re
from pathlib import Path

from triptych.errors import RecipeError
from triptych.generate.config import Responder

KINDS = ("hf:", "openai:", "answers:", "degenerate:")
"""How the URI of a model begins that is no run of ours."""


def responder_of(uri: str) -> tuple[Responder, str, str]:
    """Who answers under a URI, its fingerprint, and a short name for a folder.

    - `hf:NAME` or `hf:FOLDER`: any image-text-to-text checkpoint of transformers;
    - `openai:URL#MODEL`: an endpoint that speaks OpenAI's chat protocol; the key is read from OPENAI_API_KEY;
    - `answers:FILE`: answers that another program wrote, by question id;
    - `degenerate:KIND`: one of the models that know nothing.

    Raises:
        RecipeError: The URI is of none of these forms.
    """
    kind, _, rest = uri.partition(":")
    short = re.sub(r"[^\w.-]+", "-", rest.rstrip("/").removeprefix("http://").removeprefix("https://")).strip("-")[-80:]
    if kind == "hf" and rest:
        from triptych.evaluate.responders.huggingface import HuggingFaceResponder

        local = HuggingFaceResponder(rest)
        return local, local.fingerprint, short
    if kind == "openai" and rest:
        from triptych.evaluate.responders.endpoint import EndpointResponder

        remote = EndpointResponder.of(rest)
        return remote, remote.fingerprint, short
    if kind == "answers" and rest:
        from triptych.evaluate.responders.predictions import Predictions

        written = Predictions(Path(rest))
        return written, written.fingerprint, Path(rest).stem
    if kind == "degenerate" and rest:
        from triptych.evaluate.responders.degenerate import Degenerate

        return Degenerate.of(rest), f"degenerate:{rest}", rest
    raise RecipeError(f"{uri!r}: expected hf:NAME-OR-FOLDER, openai:URL#MODEL, answers:FILE or degenerate:KIND")

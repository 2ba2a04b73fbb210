"""The caption scores of `pycocoevalcap`, METEOR and SPICE among them, where it and a Java runtime are at hand.

`pip install 'triptych[captions]'` brings the package; METEOR 1.5, SPICE and the Stanford tokenizer in it are Java programs.
SPICE needs Stanford CoreNLP, which the package fetches on first use, and gigabytes of memory; where it cannot run, the
others are given without it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from triptych.errors import EvaluationError
from triptych.evaluate.scoring.bleu import bleu, bleu_sums
from triptych.evaluate.scoring.bootstrap import Tally
from triptych.evaluate.scoring.tallies import ratio

if TYPE_CHECKING:
    from triptych.evaluate.tasks.question import Record


def available() -> bool:
    """Whether `pycocoevalcap` is installed and a `java` is found."""
    return importlib.util.find_spec("pycocoevalcap") is not None and shutil.which("java") is not None


def check_available() -> None:
    """Raise EvaluationError, which says what to install, if `pycocoevalcap` or a `java` is missing."""
    if not available():
        raise EvaluationError(
            "METEOR, SPICE and the Stanford tokenizer need `pip install 'triptych[captions]'` and a Java runtime (`java`)"
        )


def spice_ready() -> bool:
    """Whether SPICE has the Stanford models that pycocoevalcap fetches on first use."""
    found = importlib.util.find_spec("pycocoevalcap")
    folders = found.submodule_search_locations if found is not None else None
    return any(list(Path(folder, "spice", "lib").glob("stanford-corenlp-*-models.jar")) for folder in folders or ())


def caption_scores(answers: Sequence[str], references: Sequence[Sequence[str]], spice: bool = False) -> dict[str, Any]:
    """Scores of each caption `[N]` by name, tokenised by Stanford's PTBTokenizer; `tokens` has captions and references.

    Raises:
        EvaluationError: The package or Java is missing, or a Java program fails.
    """
    check_available()
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    with contextlib.redirect_stdout(io.StringIO()):
        try:
            # A caption stands on a line of its own: the tokenizer must not see line breaks.
            truth = PTBTokenizer().tokenize({i: [{"caption": _line(t)} for t in ts] for i, ts in enumerate(references)})
            said = PTBTokenizer().tokenize({i: [{"caption": _line(text)}] for i, text in enumerate(answers)})
            found: dict[str, Any] = {
                "cider_d": np.asarray(Cider().compute_score(truth, said)[1]),
                "rouge_l": np.asarray(Rouge().compute_score(truth, said)[1]),
                "meteor": np.asarray(Meteor().compute_score(truth, said)[1]),
            }
            if spice:
                from pycocoevalcap.spice.spice import Spice

                found["spice"] = np.asarray([score["All"]["f"] for score in Spice().compute_score(truth, said)[1]])
        except (OSError, ValueError, AssertionError) as error:
            raise EvaluationError(f"a Java program of pycocoevalcap failed: {error}") from error
    found["tokens"] = ([said[i][0].split() for i in said], [[t.split() for t in truth[i]] for i in truth])
    return found


def java_tally(records: Sequence[Record]) -> Tally:
    """Captions as sums per picture: `cider_d`, `bleu_4`, `rouge_l`, `meteor`, and `spice` where it is ready, of Stanford's tokens."""
    found = caption_scores(
        [r.answer for r in records],
        [r.truth if isinstance(r.truth, list) else [r.truth] for r in records],
        spice=spice_ready(),
    )
    said, truth = found.pop("tokens")
    names = list(found)
    head = np.stack([np.ones(len(records)), *(found[name] for name in names)], axis=1)
    tail = np.stack([bleu_sums(words, references) for words, references in zip(said, truth, strict=True)])

    def score(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        scores = {name: ratio(sums[..., i], sums[..., 0]) for i, name in enumerate(names, start=1)}
        return scores | {"bleu_4": bleu(sums[..., 1 + len(names) :])}

    counts = dict.fromkeys((*names, "bleu_4"), len(records))
    return Tally([record.sample for record in records], np.concatenate([head, tail], axis=1), score, counts)


def _line(text: str) -> str:
    return " ".join(text.split())

"""The page of the comparison: what equals the scripts, and where these are wrong, both numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from parity.official.ours import OURS, YES_NO, pope_scores
from parity.official.scoring import Case
from parity.pages import RESULTS
from triptych.evaluate.benchmarks import catalogue
from triptych.evaluate.benchmarks.task import answer_metric
from triptych.evaluate.metrics.anls import anls, anls_script
from triptych.evaluate.metrics.contains import contains, contains_script
from triptych.evaluate.metrics.exact import exact_match, exact_script
from triptych.evaluate.metrics.relaxed import relaxed_accuracy, relaxed_script
from triptych.evaluate.metrics.vqa import evalai, vqa_accuracy, vqa_script
from triptych.evaluate.parsers import official, parse_count, parse_yes_no
from triptych.evaluate.parsers.options import parse_option
from triptych.evaluate.scoring.chair_script import script_words
from triptych.evaluate.scoring.chair_words import chair_words
from triptych.evaluate.scoring.verdicts import mmhal_script, mmvet_script, read_verdict

PAGE = RESULTS / "metric_parity.md"

Row = tuple[str, str, int, int, float]
"""Rule, reference, predictions, that differ, largest difference."""

Reading = Callable[[str, list[str]], Any]


def _letters(truths: list[str]) -> dict[str, str]:
    return dict(zip("ABCD", truths, strict=False))


def _yes_no(word: str) -> str | None:
    return word if word in ("yes", "no") else None


def _verdict(task: str) -> Reading:
    judge = catalogue.load(task).judge
    assert judge is not None
    return lambda a, _: read_verdict(a, judge) or 0.0


APART: dict[str, tuple[Reading, Reading, str, Case]] = {
    "vqa_script": (vqa_script, vqa_accuracy,
                   "people's answers are not normalised where all ten agree; full stops beyond the 32nd stay", ("two", ["two"] * 10)),
    "evalai": (evalai, vqa_accuracy, "full stops beyond the 32nd stay", ("yes" + "." * 40, ["yes"] * 10)),
    "pope_script": (lambda a, _: official.pope_script(a), lambda a, _: parse_yes_no(a),
                    "whatever denies nothing in its first sentence is a yes", ("There is a dog.", [])),
    "pope_lmms": (lambda a, _: _yes_no(official.exact_yes_no(a)), lambda a, _: parse_yes_no(a),
                  "the whole answer must be the word: a full stop makes it wrong", ("Yes.", [])),
    "mme": (lambda a, _: _yes_no(official.prefix_yes_no(a)), lambda a, _: parse_yes_no(a),
            "yes or no among the first four characters", ("Know what? Yes.", [])),
    "amber_discriminative": (lambda a, _: {"Yes": "yes", "No": "no"}.get(a), lambda a, _: parse_yes_no(a),
                             "only `Yes` and `No`, in these letters", ("No.", [])),
    "anls": (anls_script, anls, "lengths are taken before white space is tidied", ("dig" + " " * 7, ["dog"])),
    "relaxed": (lambda a, t: float(relaxed_script(a, t[0])), lambda a, t: float(relaxed_accuracy(a, t[0])),
                "1,000 and a number with a full stop are text; a truth of 0 is text", ("1,000", ["1000"])),
    "exact": (lambda a, t: float(exact_script(a, t[0])), lambda a, t: float(exact_match(a, t[0])),
              "white space and articles count", ("a dog", ["dog"])),
    "seed": (lambda a, t: _of(official.first_character(a), t), lambda a, t: parse_option(a, _letters(t)),
             "the first character, whatever it belongs to", ("A dog, probably.", ["a cat", "a bird"])),
    "ai2d": (lambda a, t: _of(official.leading_letter(a), t), lambda a, t: parse_option(a, _letters(t)),
             "a letter with a full stop, or nothing but the letter", ("B) a cat", ["a dog", "a cat"])),
    "scienceqa": (lambda a, t: _of(official.scienceqa_letter(a), t), lambda a, t: parse_option(a, _letters(t)),
                  "a letter with a full stop, or nothing but the letter", ("(B)", ["a dog", "a cat"])),
    "mmmu": (lambda a, t: official.mmmu_letter(a, _letters(t)), lambda a, t: parse_option(a, _letters(t)),
             "where several are said the last one wins; where none is read, the script draws an option", ("A or B ", ["a dog", "a cat"])),
    "mmbench": (lambda a, t: official.mmbench_letter(a, _letters(t)), lambda a, t: parse_option(a, _letters(t)),
                "A among more than three words is an article; what is unread is put to ChatGPT", ("The answer is A", ["a dog", "a cat"])),
    "mmstar": (lambda a, t: _of(official.mmstar_letter(a), t), lambda a, t: parse_option(a, _letters(t)),
               "certain characters of the answer, whatever they belong to", ("A dog, probably.", ["a cat", "a bird"])),
    "mmmu_pro": (lambda a, t: official.mmmu_pro_letter(a, _letters(t)), lambda a, t: parse_option(a, _letters(t)),
                 "behind `Answer:` a letter counts within a word, too; otherwise as MMMU's", ("Answer: Dogs, all four", ["a cat", "2", "3", "4"])),
    "blink": (lambda a, t: official.blink_letter(a, _letters(t)), lambda a, t: parse_option(a, _letters(t)),
              "the last option in brackets, also where it is ruled out; an article is A", ("It is none of (A) and (B).", ["a dog", "a cat"])),
    "ocrbench": (lambda a, t: float(any(contains_script(a, x, t[-1] == "HME100k") for x in t[:-1])),
                 lambda a, t: float(any(contains(a, x, t[-1] == "HME100k") for x in t[:-1])),
                 "anywhere in the answer: within a longer number, or among a thousand words", ("1234", ["12", "IIIT5K"])),
    "countbench": (lambda a, t: float(official.count_script(a) == official.count_script(t[0])),
                   lambda a, t: float(parse_count(a) == t[0]), "nothing but the number: a full stop or a noun makes it wrong", ("There are 2.", ["2"])),
    "chair": (lambda a, _: [n for _, n in script_words(a)], lambda a, _: [n for _, n in chair_words(a)],
              "`bus` is cut to `bu`; `train tracks` are a train; entries with a stray space or a capital are never found", ("a school bus", [])),
    "mmhal": (lambda a, _: mmhal_script(a) / 6, _verdict("mmhal"),
              "`Rating: 60` is a 6; a rating in bold, or without a space, is a 0", ("Rating:4", [])),
    "mmvet": (lambda a, _: mmvet_script(a), _verdict("mm-vet"), "the first word must be the number", ("Correctness: 0.8", [])),
}  # fmt: skip


def _of(letter: str | None, options: list[str]) -> str | None:
    return letter if letter in _letters(options) else None


def page(rows: Sequence[Row]) -> str:
    """The whole page in Markdown."""
    lines = [
        "# Metrics against the official scripts",
        "",
        "    python -m parity.official --official FOLDER --write",
        "",
    ]
    lines += ["Our reading of each script gives the script's own numbers, on generated predictions with degenerate ones among them: dots,",
              "capitals, nothing, thousands of characters, Unicode. (Answers of a wrong type are refused with file and line.)", "",
              "| rule | reference | predictions | that differ | largest difference |", "| --- | --- | ---: | ---: | ---: |"]  # fmt: skip
    lines += [f"| {n} | {r} | {c:,} | {d} | {g:.1e} |" for n, r, c, d, g in rows]
    lines += ["", "## Where a script is wrong, both numbers", "",
              "The same predictions by the script's rule and by ours, which is the one that counts; scores where answers have a true one.", "",
              "| rule | read differently | script | ours | for example | script | ours | why |",
              "| --- | ---: | ---: | ---: | --- | --- | --- | --- |"]  # fmt: skip
    lines += [_apart(name) for name in APART]
    lines += ["", "POPE's scores of the same 1,200 answers, most of which are degenerate:", "",
              "| | accuracy | precision | recall | F1 | yes-ratio |", "| --- | ---: | ---: | ---: | ---: | ---: |", *_pope()]  # fmt: skip
    lines += ["", "The yes-ratio of lmms-eval is that of the *truths*, and its recall leaves out answers that it cannot read.", "",
              "## Without a script to compare with", "",
              "METEOR and SPICE are pycocoevalcap's own programs, called with `--java`. The tokeniser is compared with Stanford's in",
              "`tests/evaluate/metrics/test_tokenizer.py`. Of GQA's and RefCOCO's rules (the same string; a box's overlap), VLGuard's and the",
              "refusals of MM-SafetyBench, and of recall at K, tests check the definition."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _apart(name: str) -> str:
    script, mine, why, (answer, truths) = APART[name]
    cases = OURS[name][0]
    truth, *columns = zip(*((t, script(a, t), mine(a, t)) for a, t in cases()), strict=True)
    differ = sum(one != other for one, other in zip(*columns, strict=True))
    scores = ["", ""]
    if all(isinstance(value, float) for column in columns for value in column):
        scores = [f"{sum(column) / len(column):.3f}" for column in columns]
    elif cases is YES_NO:
        right = [[value == t[0] for value, t in zip(column, truth, strict=True)] for column in columns]
        scores = [f"{sum(column) / len(column):.3f}" for column in right]
    one, other = script(answer, truths), mine(answer, truths)
    assert one != other, name
    example = f"`{_cell(answer)}`" + (f", truth `{truths[0]}`" if isinstance(one, float) and truths else "")
    cells = [name, f"{differ:,} of {len(truth):,}", *scores, example, _value(one), _value(other), why]
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    text = text.replace("\n", "⏎").replace("|", "¦").replace("\t", "⇥")
    return text if len(text) <= 40 else text[:37] + "…"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return "unread" if value in (None, "", "other") else str(value)


def _pope() -> list[str]:
    rules = answer_metric(catalogue.load("pope")).rules
    return [f"| {name} | {' | '.join(f'{x:.3f}' for x in pope_scores(rules[name], YES_NO()))} |" for name in rules]

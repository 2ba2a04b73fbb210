"""Reading what a judge model says: a score in [0, 1], or nothing when it says none."""

from __future__ import annotations

import re

from triptych.evaluate.benchmarks.config import Judge
from triptych.evaluate.parsers.official import safety_label

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_RATING = re.compile(r"rating\W*(\d+)", re.IGNORECASE)


def read_verdict(verdict: str | None, judge: Judge) -> float | None:
    """The score that a verdict gives.

    - `number`: the first number, 0 to `scale` (MM-Vet);
    - `rating`: after the word "rating" (MMHal: "Rating: 4, …");
    - `safe`: 1 for safe, 0 for unsafe;
    - `pair`: two numbers, reference first; the second over the first, at most 1 (the script sums them: `llava_script`);
    - `correct`: "correct" is 1, "incorrect" and "unclear" are 0.

    A number above the scale is no score, and unread.
    """
    if verdict is None:
        return None
    numbers = [float(number) for number in _NUMBER.findall(verdict)]
    match judge.read:
        case "number":
            return numbers[0] / judge.scale if numbers and numbers[0] <= judge.scale else None
        case "rating":
            found = _RATING.search(verdict)
            return int(found.group(1)) / judge.scale if found and int(found.group(1)) <= judge.scale else None
        case "safe":
            label = safety_label(verdict)
            return None if label is None else float(label == "safe")
        case "pair":
            if len(numbers) < 2 or not 0 < numbers[0] <= judge.scale or numbers[1] > judge.scale:
                return None
            return min(1.0, numbers[1] / numbers[0])
        case "correct":
            said = verdict.lower()
            if "incorrect" in said or "unclear" in said:
                return 0.0
            return 1.0 if "correct" in said else None


def llava_script(verdict: str) -> tuple[float, float]:
    """LLaVA-Bench: the first two numbers of the first line, the reference's and the model's; -1 and -1 where there are none.

    The script keeps the -1 and adds it to both sums, and takes numbers beyond the scale as they are.
    """
    line = verdict.strip().split("\n")[0].replace(",", " ").replace(";", " ")
    numbers = re.findall(r"-?\d+(?:\.\d+)?", line)
    return (float(numbers[0]), float(numbers[1])) if len(numbers) >= 2 else (-1.0, -1.0)


def mmhal_script(verdict: str) -> int:
    """MMHal-Bench: the one digit from 0 to 6 that stands after "rating: "; 0 where there is none, or more than one."""
    said = verdict.lower()
    found = [score for score in range(7) if f"rating: {score}" in said]
    return found[0] if len(found) == 1 else 0


def mmvet_script(verdict: str) -> float:
    """MM-Vet: the first word as a number from 0 to 1; 0 where it is none (the script asks again before it gives up)."""
    try:
        score = float(verdict.split(" ")[0].strip())
    except ValueError:
        return 0.0
    return score if 0.0 <= score <= 1.0 else 0.0

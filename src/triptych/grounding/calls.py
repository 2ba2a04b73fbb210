"""Calls: the language model writes what to look for, as JSON in its reply (LLaVA-Plus, Liu et al., 2023).

    user       Find the cup above the dog.
    assistant  {"actions": [{"API_name": "detector", "API_params": {"caption": "cup", "select": "above the dog"}}]}
    user       detector: cup [0.41, 0.08, 0.57, 0.27]
    assistant  cup

What is read is never executed: a call names a caption and a rule out of a fixed few, and only the recipe's own detector
looks at them. `full` writes all of LLaVA-Plus' keys (`thoughts`, `actions`, `value`) in both of the assistant's turns.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from triptych.grounding.grounding import Verdict, encodable
from triptych.grounding.select import Selector, read_selector

Style = Literal["brief", "full"]

LONGEST_CAPTION = 256
MOST_CALLS = 8
MOST_PHRASES = 32
"""Limits on what a single answer may ask for."""

_KEYS = ("thoughts", "actions", "value")


@dataclass(frozen=True)
class Call:
    """One thing to look for.

    Args:
        name: Of whom it is asked of.
        caption: What to look for: a name, or several with dots between them.
        select: Which of what is found, in words (`triptych.grounding.select`); empty means all.
    """

    name: str
    caption: str
    select: str = ""

    @property
    def phrases(self) -> list[str]:
        """The names in the caption, each once."""
        parts = [" ".join(part.split()) for part in self.caption.split(".")]
        return list(dict.fromkeys(part for part in parts if part))[:MOST_PHRASES]

    @property
    def wanted(self) -> list[str]:
        """Everything that has to be looked for: the names, and what the rule holds them against."""
        other = self.selector.other
        return [*self.phrases, *([other] if other and other not in self.phrases else [])]

    @property
    def selector(self) -> Selector:
        """The rule; everything where the words are not known."""
        return read_selector(self.select) or Selector(several=True)


@dataclass(frozen=True)
class Reading:
    """What an answer turned out to be.

    Args:
        calls: To be carried out.
        verdict: `valid`, `repaired`, `invalid`; `none` for an answer that calls nobody.
        value: What is said beside the calls.
    """

    calls: tuple[Call, ...]
    verdict: Verdict
    value: str = ""


def write_calls(calls: list[Call], style: Style = "brief", *, thoughts: str = "", value: str = "") -> str:
    """Calls as an answer."""
    actions = [
        {
            "API_name": call.name,
            "API_params": {"caption": call.caption} | ({"select": call.select} if call.select else {}),
        }
        for call in calls
    ]
    whole = {"thoughts": thoughts, "actions": actions, "value": value}
    return json.dumps(whole if style == "full" else {"actions": actions}, ensure_ascii=False)


def write_answer(value: str, style: Style = "brief", thoughts: str = "") -> str:
    """The last answer, which calls nobody."""
    if style == "brief":
        return value
    return json.dumps({"thoughts": thoughts, "actions": [], "value": value}, ensure_ascii=False)


def read_calls(text: str, name: str) -> Reading:
    """What an answer asks for. Never raises; what is broken is repaired where it can be told what was meant.

    Args:
        text: The model's answer.
        name: Of the only detector there is: calls of anything else are `invalid` and left out.
    """
    start = text.find("{")
    if start < 0 and "API_name" not in text:
        return Reading((), "none", text.strip())
    content, verdict = _parse(text, start)
    if content is None:
        return _salvage(text, name)
    if not isinstance(content, dict):
        return Reading((), "invalid", text.strip())
    values = {key: found for key in _KEYS for k, found in content.items() if str(k).startswith(key)}  # "thoughts🤔"
    value = encodable(values["value"]) if isinstance(values.get("value"), str) else ""
    if "API_name" in content:  # an action without the object around it
        values["actions"] = content
    actions = values.get("actions", [])
    if isinstance(actions, dict):
        actions, verdict = [actions], "repaired"
    if not isinstance(actions, list):
        return Reading((), "invalid", value)
    calls = []
    for action in actions[:MOST_CALLS]:
        call, sound = _call(action, name)
        if call is None:
            verdict = "invalid"
            continue
        if not sound and verdict == "valid":
            verdict = "repaired"
        calls.append(call)
    if not actions and "actions" in values:
        return Reading((), "none", value)
    if not calls:
        return Reading((), "invalid", value)
    return Reading(tuple(calls), "repaired" if verdict == "invalid" else verdict, value)


def _parse(text: str, start: int) -> tuple[Any, Verdict]:
    """The first JSON object of a text, with what was wrong with it; None where it cannot be read as JSON at all."""
    if start < 0:
        return None, "invalid"
    try:
        content, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return _mended(text[start:]), "repaired"
    alone = not text[:start].strip() and not text[end:].strip()
    return content, "valid" if alone else "repaired"


def _mended(text: str) -> Any:
    """JSON that was cut short, has single quotes or a comma too many; None where that was not what was wrong."""
    text = re.sub(r"```\w*", "", text)
    for candidate in (text, re.sub(r"(?<=[{\[:,])\s*'|'(?=\s*[\]},:])", '"', text)):
        for closed in (candidate, _closed(candidate)):
            try:
                content, _ = json.JSONDecoder(strict=False).raw_decode(re.sub(r",\s*(?=[\]}])", "", closed).lstrip())
            except (ValueError, RecursionError):
                continue
            return content
    return None


def _closed(text: str) -> str:
    """A text with the quote and the brackets that are still open closed behind it."""
    stack: list[str] = []
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "{[":
            stack.append("}" if character == "{" else "]")
        elif character in "}]" and stack and stack[-1] == character:
            stack.pop()
    return text + ('"' if quoted else "") + "".join(reversed(stack))


def _salvage(text: str, name: str) -> Reading:
    """A call out of what is no JSON any more, if its caption still stands there."""
    called = re.search(r'API_name["\']?\s*:\s*["\']([^"\'{}]*)', text)
    caption = re.search(r'caption["\']?\s*:\s*["\']([^"\'{}]+)', text)
    select = re.search(r'select["\']?\s*:\s*["\']([^"\'{}]*)', text)
    if called is None or called[1].strip() != name or caption is None:
        return Reading((), "invalid", text.strip())
    call, _ = _call(
        {"API_name": name, "API_params": {"caption": caption[1], "select": select[1] if select else ""}}, name
    )
    return Reading((call,), "repaired") if call is not None else Reading((), "invalid", text.strip())


def _call(action: Any, name: str) -> tuple[Call | None, bool]:
    """A call that may be carried out, or None; and whether it was written by the rules."""
    if not isinstance(action, dict) or action.get("API_name") != name:
        return None, False
    params = action.get("API_params")
    if not isinstance(params, dict) or not isinstance(caption := params.get("caption"), str):
        return None, False
    select = params.get("select", "")
    told = select.strip() if isinstance(select, str) else ""
    call = Call(name, encodable(caption[:LONGEST_CAPTION].strip()), encodable(told))
    if not call.phrases:
        return None, False
    sound = isinstance(select, str) and read_selector(select) is not None and len(caption) <= LONGEST_CAPTION
    return call, sound and params.keys() <= {"caption", "select"}

"""The ledger as the report shows it: what was shortened or refused, counted by reason, with examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from triptych.report.folder import Record


@dataclass(frozen=True)
class Account:
    """Samples with the same fate for the same reason."""

    stage: str
    dataset: str
    outcome: str
    reason: str
    number: int
    examples: list[tuple[str, str]]
    """(record, its full reason)"""


def accounts(ledger: Sequence[Record], examples: int = 5) -> list[Account]:
    """The groups by kind of reason, the largest first.

    Entries without a kind are told apart by their reasons, in which numbers, paths and quoted words do not count.
    """
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    for entry in ledger:
        key = (
            str(entry.get("stage") or "–"),
            str(entry.get("dataset") or "–"),
            str(entry.get("outcome") or "–"),
            str(entry.get("kind") or general(str(entry.get("reason") or "no reason given"))),
        )
        groups.setdefault(key, []).append(entry)
    found = [
        Account(
            *key,
            number=len(entries),
            examples=[(str(entry.get("record", "–")), _told(entry)) for entry in entries[:examples]],
        )
        for key, entries in groups.items()
    ]
    return sorted(found, key=lambda account: -account.number)


def _told(entry: Record) -> str:
    """The reason with the place of the record in front, where it does not say that itself."""
    reason, where = str(entry.get("reason") or ""), str(entry.get("where") or "")
    return reason if where in reason else f"{where}: {reason}"


def outcomes(ledger: Sequence[Record]) -> list[tuple[str, int]]:
    """How many samples met each outcome."""
    return Counter(str(entry.get("outcome") or "–") for entry in ledger).most_common()


def general(reason: str) -> str:
    """A reason without what belongs to one sample: paths, quoted words and numbers become `…`."""
    reason = re.sub(r"(?:[\w.~-]*[/\\])+[\w.~-]+(?::\d+)?", "…", reason)
    reason = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", reason)
    return re.sub(r"\d[\d,.]*\d|\d", "…", reason)

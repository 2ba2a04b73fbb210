"""The ledger: the account of every record that was refused or shortened, with the reason.

One line of JSON per record, stage and outcome, appended as it happens; a record met again in a later epoch is not
written again. A run that was killed and resumed rewinds it to the step it resumes from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from triptych.errors import DataError, excerpt, one_line
from triptych.files import write_atomically, writing

Outcome: TypeAlias = Literal["refused", "shortened"]

EXAMPLES = 3
"""How many records of a kind messages and summaries show."""

LONGEST_NAME, LONGEST_REASON = 200, 600
"""Characters of a record's name and of a reason that the ledger keeps."""


@dataclass(frozen=True)
class Entry:
    """What happened to one record in one stage.

    Args:
        stage: The stage's name.
        step: The step in which the record was first met.
        dataset: The dataset's name in the recipe.
        record: Names the record within its dataset.
        outcome: `refused` or `shortened`.
        kind: The reason in a word or two, the same for all records of which it is true; entries are counted by it.
        reason: The reason, shortened where it is very long.
        where: File and line of the record, as far as they are known.
    """

    stage: str
    step: int
    dataset: str
    record: str
    outcome: Outcome
    kind: str
    reason: str
    where: str = ""


class Ledger:
    """An account that only grows, on disk and in memory. One process writes it.

    Args:
        path: The file, continued when it exists; None keeps the account in memory only.

    Raises:
        DataError: The file cannot be read, or is no ledger.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._entries: dict[tuple[str, str, str, str], Entry] = {}
        if path is not None and path.exists():
            self._read(path)
        elif path is not None and not path.parent.exists():
            with writing(path):
                path.parent.mkdir(parents=True)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, the oldest first."""
        return tuple(self._entries.values())

    def record(
        self,
        dataset: str,
        record: str,
        outcome: Outcome,
        kind: str,
        reason: str,
        where: str = "",
        *,
        stage: str,
        step: int = 0,
    ) -> bool:
        """Enter a record; True if it is new, False if this stage has it with this outcome already.

        What comes from data (the record's name, the reason) is shortened, and without characters that no terminal should get.
        """
        record, reason = excerpt(record, LONGEST_NAME), excerpt(reason, LONGEST_REASON)
        entry = Entry(stage, step, dataset, record, outcome, kind, reason, excerpt(where, LONGEST_REASON))
        if _key(entry) in self._entries:
            return False
        self._entries[_key(entry)] = entry
        if self.path is not None:
            with writing(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write(_line(entry))
        return True

    def rewind(self, stage: str, step: int) -> None:
        """Forget what the stage entered in `step` and later: those steps are about to run (again)."""
        kept = {key: entry for key, entry in self._entries.items() if entry.stage != stage or entry.step < step}
        if len(kept) < len(self._entries):
            self._entries = kept
            self._write()

    def counts(self, stage: str | None = None) -> dict[tuple[str, Outcome, str], int]:
        """Number of entries by (dataset, outcome, kind), the largest first; of one stage or of all."""
        counts: dict[tuple[str, Outcome, str], int] = {}
        for entry in self._entries.values():
            if stage is None or entry.stage == stage:
                key = (entry.dataset, entry.outcome, entry.kind)
                counts[key] = counts.get(key, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def examples(self, stage: str, most: int = EXAMPLES) -> list[str]:
        """Records of a stage with their reasons, one of each kind, the commonest kinds first."""
        first: dict[tuple[str, Outcome, str], Entry] = {}
        for entry in self._entries.values():
            if entry.stage == stage:
                first.setdefault((entry.dataset, entry.outcome, entry.kind), entry)
        return [f"{first[key].record}: {told(first[key])}" for key in list(self.counts(stage))[:most]]

    def check(
        self, share: float, *, stage: str, seen: Mapping[str, int], sizes: Mapping[str, int], minimum: int = 20
    ) -> None:
        """Stop when too much of a dataset is refused.

        Args:
            share: The largest share of the distinct records seen that may be refused, in [0, 1].
            stage: Whose entries count.
            seen: Distinct records of each dataset that the stage has drawn so far (`Mixture.seen`).
            sizes: Records of each dataset.
            minimum: A dataset is not judged by fewer records than this, unless it has no more.

        Raises:
            DataError: More than `share` of a dataset's seen records, or all of them, were refused; shows how many
                for which reasons, with examples.
        """
        refused: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            if entry.stage == stage and entry.outcome == "refused":
                refused.setdefault(entry.dataset, []).append(entry)
        for dataset, entries in refused.items():
            number = seen.get(dataset, 0)
            if number < min(minimum, sizes.get(dataset, minimum)):
                continue
            if len(entries) > share * number or len(entries) >= number:
                raise DataError(self._complaint(dataset, entries, number, share))

    def summary(self) -> list[dict[str, Any]]:
        """For the report: `{stage, dataset, outcome, kind, count, examples: [{record, reason}]}`, the largest first."""
        groups: dict[tuple[str, str, str, str], list[Entry]] = {}
        for entry in self._entries.values():
            groups.setdefault((entry.stage, entry.dataset, entry.outcome, entry.kind), []).append(entry)
        names = ("stage", "dataset", "outcome", "kind")
        return [
            {
                **dict(zip(names, key, strict=True)),
                "count": len(entries),
                "examples": [{"record": entry.record, "reason": told(entry)} for entry in entries[:EXAMPLES]],
            }
            for key, entries in sorted(groups.items(), key=lambda item: -len(item[1]))
        ]

    def _complaint(self, dataset: str, entries: list[Entry], seen: int, share: float) -> str:
        kinds: dict[str, list[Entry]] = {}
        for entry in entries:
            kinds.setdefault(entry.kind, []).append(entry)
        lines = [
            f"dataset {dataset!r}: {len(entries):,} of the {seen:,} records seen so far were refused "
            f"({len(entries) / seen:.1%}; loading.refused_share allows {share:.1%})"
        ]
        for kind, same in sorted(kinds.items(), key=lambda item: -len(item[1])):
            lines.append(f"  {len(same):,} × {kind}, for example")
            lines += [f"    {entry.record}: {told(entry)}" for entry in same[:EXAMPLES]]
        where = f" ({self.path} lists them all)" if self.path is not None else ""
        lines.append(f"mend these records{where}, or allow more with loading.refused_share")
        return "\n".join(lines)

    def _read(self, path: Path) -> None:
        try:
            *lines, rest = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as a ledger ({error})") from error
        for number, line in enumerate(lines, start=1):
            try:
                entry = Entry(**json.loads(line))
                for name, value in vars(entry).items():
                    if type(value) is not (int if name == "step" else str):
                        raise TypeError(f"{name} is {type(value).__name__}")
            except (ValueError, TypeError, RecursionError) as error:
                raise DataError(
                    f"{path}:{number}: not a line of a ledger ({one_line(error)}); mend or delete it"
                ) from error
            self._entries[_key(entry)] = entry
        if rest:  # the half line of a process that was killed: its step will run again
            self._write()

    def _write(self) -> None:
        if self.path is not None:
            write_atomically(self.path, "".join(_line(entry) for entry in self._entries.values()))


def told(entry: Entry) -> str:
    """The reason with the place of the record in front, where it does not say that itself."""
    return entry.reason if entry.where in entry.reason else f"{entry.where}: {entry.reason}"


def _key(entry: Entry) -> tuple[str, str, str, str]:
    return entry.stage, entry.dataset, entry.record, entry.outcome


def _line(entry: Entry) -> str:
    values = asdict(entry)
    if not entry.where:
        del values["where"]
    return json.dumps(values) + "\n"

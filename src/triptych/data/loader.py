"""Loading: which conversations step k trains on, planned, packed and ready to compute.

    mixture.draw(n) ──► source[i] ──► plan ──► per slot: features from the cache, or inputs ──► pack ──► Batch
                            └───────────┴──────────────┴──► ledger, when one of them refuses

A step's data is a pure function of its number, so resuming needs nothing but that number.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from triptych.conversation import Conversation, Medium
from triptych.data.features import FeatureCache
from triptych.data.ledger import Outcome
from triptych.data.mixture import Mixture
from triptych.data.reading import UnexpectedError, read_record, where
from triptych.data.sources import Source
from triptych.errors import DataError, RecipeError, WeightsError
from triptych.sequence.batch import StepBatch
from triptych.sequence.pack import Batch, Input, pack
from triptych.sequence.plan import Layout, Refusal

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """A record that was shortened or refused, for the ledger; `where` is its file and line, as far as its source knows."""

    dataset: str
    record: str
    outcome: Outcome
    kind: str
    reason: str
    where: str = ""


@dataclass(frozen=True)
class StepData:
    """What one step trains on; `batch` is None when everything was refused.

    Args:
        batch: The packed conversations.
        events: For the ledger.
    """

    batch: StepBatch | None
    events: tuple[Event, ...]


class StepReader(Protocol):
    """What makes the batches of a stage. It is what worker processes run."""

    @property
    def sources(self) -> Mapping[str, Source]:
        """Datasets by name."""
        ...

    @property
    def mixture(self) -> Mixture:
        """Which record comes when."""
        ...

    @property
    def batch_size(self) -> int:
        """Records per step."""
        ...

    @property
    def caches(self) -> Mapping[str, FeatureCache | None]:
        """Slot of an encoder → where its features are kept; None where it runs in every step."""
        ...

    def __call__(self, step: int, /) -> StepData:
        """The data of a step, a pure function of its number."""
        ...


@dataclass(frozen=True)
class Draws:
    """The records of a step, each read, with those that refuse noted for the ledger.

    Args:
        sources: Datasets by name.
        mixture: Which record comes when.
        batch_size: Records per step.
    """

    sources: Mapping[str, Source]
    mixture: Mixture
    batch_size: int

    def read(
        self, step: int, events: list[Event], reader: Callable[[int, Conversation], T]
    ) -> Iterator[tuple[str, str, T]]:
        """Dataset, record and what the reader makes of draw number and conversation, of those that do not refuse.

        Args:
            step: A pure function of its number.
            events: Refusals are added here, in the order of the draws; an exception that nobody foresaw among them, with its
                type, so that one record does not end the run (where it is every record's, `Ledger.check` does).
            reader: Raises `DataError` or `Refusal` where a record is of no use.

        Raises:
            WeightsError: What a whole dataset is made with cannot be had.
        """
        for number in range(step * self.batch_size, (step + 1) * self.batch_size):
            dataset, index = self.mixture.draw(number)
            source, record = self.sources[dataset], str(index)
            try:
                conversation = read_record(source, index)
                record = conversation.id or record
                found = reader(number, conversation)
            except Refusal as refusal:
                events.append(_refused(dataset, record, source, index, refusal.reason, refusal.detail))
            except UnexpectedError as error:
                events.append(_refused(dataset, record, source, index, error.kind, str(error)))
            except DataError as error:
                events.append(_refused(dataset, record, source, index, "unreadable", str(error)))
            except (
                RecipeError
            ) as error:  # of the template, which takes other conversations: that was seen when it was built
                events.append(_refused(dataset, record, source, index, "chat template", str(error)))
            except WeightsError:
                raise
            except Exception as error:
                unexpected = UnexpectedError(error)
                events.append(_refused(dataset, record, source, index, unexpected.kind, str(unexpected)))
            else:
                yield dataset, record, found


def _refused(dataset: str, record: str, source: Source, index: int, kind: str, reason: str) -> Event:
    return Event(dataset, record, "refused", kind, reason, where(source, index))


@dataclass(frozen=True)
class SlotInputs:
    """What the encoder of a slot needs of media.

    Args:
        medium: The class of media that it takes.
        prepare: Medium → the encoder's input; raises `DataError`.
        cache: Features of media that were encoded before; None when the encoder has to run in every step.
    """

    medium: type[Medium]
    prepare: Callable[[Any], Tensor]
    cache: FeatureCache | None

    def __call__(self, medium: Medium) -> Input:
        """Features from the cache, or else the encoder's input."""
        if self.cache is not None and (features := self.cache.get(medium.content_hash)) is not None:
            return Input(features=features)
        return Input(prepared=self.prepare(medium))


@dataclass(frozen=True)
class Reader:
    """Turns draws into step data. It is what worker processes run.

    Args:
        sources: Datasets by name.
        mixture: Which record comes when.
        batch_size: Conversations per step.
        plan: Conversation → layout; raises `Refusal`.
        slots: The inputs of the model's encoders, by slot.
        row_tokens: The longest packed row.
        pad: The id behind the last document of a row.
        apart: Whether rows hold conversations of one dataset each.
        alone: Whether rows hold one conversation each.
        unroll: Conversation → those that together teach all its answers, where one sequence cannot.
    """

    sources: Mapping[str, Source]
    mixture: Mixture
    batch_size: int
    plan: Callable[[Conversation], Layout]
    slots: Mapping[str, SlotInputs]
    row_tokens: int
    pad: int
    apart: bool = False
    alone: bool = False
    unroll: Callable[[Conversation], Sequence[Conversation]] | None = None

    @property
    def caches(self) -> Mapping[str, FeatureCache | None]:
        """See `StepReader.caches`."""
        return {slot: inputs.cache for slot, inputs in self.slots.items()}

    def __call__(self, step: int) -> StepData:
        """The data of a step, a pure function of its number."""
        layouts: list[Layout] = []
        events: list[Event] = []
        inputs: dict[tuple[str, str], dict[str, Input]] = {}

        def planned(_: int, conversation: Conversation) -> list[Layout]:
            unrolled = [conversation] if self.unroll is None else self.unroll(conversation)
            several = [self.plan(each) for each in unrolled]
            for span in (span for layout in several for span in layout.spans):
                if span.medium.identity not in inputs:
                    inputs[span.medium.identity] = self._inputs(span.medium)
            return several

        draws = Draws(self.sources, self.mixture, self.batch_size)
        read = draws.read(step, events, planned)
        for dataset, record, layout in ((dataset, record, layout) for dataset, record, all_ in read for layout in all_):
            if layout.dropped:
                events.append(
                    Event(
                        dataset,
                        record,
                        "shortened",
                        "too long",
                        f"{layout.dropped} messages left out from the oldest end",
                    )
                )
            layouts.append(replace(layout, dataset=dataset))
        batch = self._pack(layouts, inputs) if layouts else None
        return StepData(batch, tuple(events))

    def _inputs(self, medium: Medium) -> dict[str, Input]:
        """What each slot that takes the medium needs of it; several may (an encoder, and the one that regions are decoded by)."""
        inputs = {slot: own(medium) for slot, own in self.slots.items() if isinstance(medium, own.medium)}
        if not inputs:
            raise DataError(
                f"{medium}: the model takes no media of the modality {medium.modality!r}; "
                f"the recipe has no encoders.{medium.modality}"
            )
        return inputs

    def _pack(self, layouts: list[Layout], inputs: Mapping[tuple[str, str], Mapping[str, Input]]) -> Batch:
        batch = pack(layouts, self.row_tokens, self.pad, _dataset if self.apart else None, self.alone)
        each = [inputs[medium.identity] for medium in batch.media]
        return replace(batch, inputs={slot: tuple(given.get(slot) for given in each) for slot in self.slots})


def _dataset(layout: Layout) -> str:
    return layout.dataset


class _Steps(Dataset[StepData]):
    """The steps as a dataset, so that PyTorch's loader runs the reader in its worker processes."""

    def __init__(self, reader: Callable[[int], StepData], first: int, last: int) -> None:
        self.reader, self.first, self.last = reader, first, last

    def __len__(self) -> int:
        return max(0, self.last - self.first)

    def __getitem__(self, index: int) -> StepData:
        return self.reader(self.first + index)


def _ignore_interrupts(worker: int) -> None:  # noqa: ARG001 - the loader passes the worker's number
    """Ctrl-C reaches every process of the terminal; the trainer decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def load_steps(reader: Callable[[int], StepData], first: int, last: int, workers: int = 0) -> Iterator[StepData]:
    """The data of steps `first` to `last - 1` in order, read ahead by worker processes.

    Workers are forked: a reader holds the model's plan, which is not pickled. Where processes are only ever spawned (macOS,
    Windows), the trainer reads for itself.
    """
    steps = _Steps(reader, first, last)
    if workers == 0 or torch.multiprocessing.get_start_method() == "spawn":
        return (steps[i] for i in range(len(steps)))
    loader = DataLoader(
        steps,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4,
        worker_init_fn=_ignore_interrupts,
        generator=torch.Generator(),  # else starting the workers would draw from the trainer's random numbers
        multiprocessing_context="fork",
    )
    return iter(loader)

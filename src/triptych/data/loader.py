"""Loading: which conversations step k trains on, planned, packed and ready to compute.

    mixture.draw(n) ──► source[i] ──► plan ──► features from the cache, or pixels ──► pack ──► Batch
                            └───────────┴──────────────┴──► ledger, when one of them refuses

A step's data is a pure function of its number, so resuming needs nothing but that number.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from triptych.conversation import Conversation, Image
from triptych.data.features import FeatureCache
from triptych.data.ledger import Outcome
from triptych.data.mixture import Mixture
from triptych.data.reading import UnexpectedError, read_record, where
from triptych.data.sources import Source
from triptych.errors import DataError, RecipeError, WeightsError
from triptych.sequence.batch import StepBatch
from triptych.sequence.pack import Batch, pack
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
class Inputs:
    """What an encoder needs of media.

    Args:
        prepare: Medium → the encoder's input; raises `DataError`.
        cache: Features of media that were encoded before; None when the encoder has to run in every step.
    """

    prepare: Callable[[Image], Tensor]
    cache: FeatureCache | None

    def __call__(self, medium: Image) -> tuple[Tensor | None, Tensor | None]:
        """`(features, None)` from the cache, or `(None, pixels)` for the encoder."""
        if self.cache is not None and (features := self.cache.get(medium.content_hash)) is not None:
            return features, None
        return None, self.prepare(medium)


@dataclass(frozen=True)
class Reader:
    """Turns draws into step data. It is what worker processes run.

    Args:
        sources: Datasets by name.
        mixture: Which record comes when.
        batch_size: Conversations per step.
        plan: Conversation → layout; raises `Refusal`.
        prepare: Medium → the encoder's input; raises `DataError`.
        cache: Features of media that were encoded before; None when the encoder has to run in every step.
        row_tokens: The longest packed row.
        pad: The id behind the last document of a row.
        apart: Whether rows hold conversations of one dataset each.
        alone: Whether rows hold one conversation each.
        details: For the encoder that decoders of regions look at, where it is another one.
        unroll: Conversation → those that together teach all its answers, where one sequence cannot.
    """

    sources: Mapping[str, Source]
    mixture: Mixture
    batch_size: int
    plan: Callable[[Conversation], Layout]
    prepare: Callable[[Image], Tensor] | None
    cache: FeatureCache | None
    row_tokens: int
    pad: int
    apart: bool = False
    alone: bool = False
    details: Inputs | None = None
    unroll: Callable[[Conversation], Sequence[Conversation]] | None = None

    @property
    def caches(self) -> Mapping[str, FeatureCache | None]:
        """See `StepReader.caches`."""
        return {"image": self.cache} | ({"regions": self.details.cache} if self.details is not None else {})

    def __call__(self, step: int) -> StepData:
        """The data of a step, a pure function of its number."""
        layouts: list[Layout] = []
        events: list[Event] = []
        inputs: dict[str, tuple[Tensor | None, Tensor | None]] = {}
        details: dict[str, tuple[Tensor | None, Tensor | None]] = {}

        def planned(_: int, conversation: Conversation) -> list[Layout]:
            unrolled = [conversation] if self.unroll is None else self.unroll(conversation)
            several = [self.plan(each) for each in unrolled]
            for span in (span for layout in several for span in layout.spans):
                key = span.medium.content_hash
                if key not in inputs:
                    inputs[key] = self._input(span.medium)
                if self.details is not None and key not in details:
                    details[key] = self.details(span.medium)
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
        batch = self._pack(layouts, inputs, details) if layouts else None
        return StepData(batch, tuple(events))

    def _input(self, medium: Image) -> tuple[Tensor | None, Tensor | None]:
        """`(features, None)` from the cache, or `(None, pixels)` for the encoder."""
        if self.prepare is None:
            raise DataError(f"{medium}: the model takes no images; the recipe has no encoders.image")
        return Inputs(self.prepare, self.cache)(medium)

    def _pack(
        self,
        layouts: list[Layout],
        inputs: Mapping[str, tuple[Tensor | None, Tensor | None]],
        details: Mapping[str, tuple[Tensor | None, Tensor | None]],
    ) -> Batch:
        batch = pack(layouts, self.row_tokens, self.pad, _dataset if self.apart else None, self.alone)
        keys = [medium.content_hash for medium in batch.media]
        return replace(
            batch,
            features=tuple(inputs[key][0] for key in keys),
            pixels=tuple(inputs[key][1] for key in keys),
            details=tuple(details[key][0] for key in keys) if details else (),
            detail_pixels=tuple(details[key][1] for key in keys) if details else (),
        )


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

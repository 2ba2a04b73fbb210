"""The training loop.

for each stage:   freeze ─► encode media once ─► for each step:
                      load ─► split into micro-batches ─► loss / global count ─► backward ─► sum over ranks ─► update
                      └ metrics, validation, checkpoint, stop on request or on a loss that is not finite
"""

from __future__ import annotations

import math
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

import torch
from safetensors import SafetensorError

from triptych import distributed
from triptych.data.ledger import Ledger
from triptych.data.loader import load_steps
from triptych.duration import duration
from triptych.errors import DataError, FolderError, TrainingError, TriptychError, one_line, resume_command
from triptych.model.saved import kept_weights, load_weights, names_of, save_weights
from triptych.model.trainable import Trainable
from triptych.recipe import Recipe
from triptych.sequence.batch import StepBatch
from triptych.training import checkpoint
from triptych.training.checkpoint import Checkpoint, Progress
from triptych.training.config import StageConfig
from triptych.training.data import StageData, stage_data
from triptych.training.inspection import write_batch
from triptych.training.lock import locked
from triptych.training.objectives import Balanced, Objective
from triptych.training.objectives import build as build_objective
from triptych.training.optimiser import Optimiser
from triptych.training.parts import Trained, by_group, describe_parts, freeze, set_mode, teaching
from triptych.training.progress import Console
from triptych.training.run import MetricsLog, RunFolder, stage_facts
from triptych.training.trackers import build as build_trackers


class Interrupted(TrainingError):
    """Training was asked to stop and has saved where it stands."""


class Trainer:
    """Trains a model by its recipe into a run folder.

    Args:
        model: The model; changed in place.
        recipe: What to do.
        run: Where it is written.
        console: What people see.
    """

    def __init__(self, model: Trainable, recipe: Recipe, run: RunFolder, console: Console) -> None:
        self.model, self.recipe, self.run, self.console = model, recipe, run, console
        self.ledger = Ledger(run.path / "ledger.jsonl" if distributed.rank() == 0 else None)
        self.trained_names: set[str] = set()
        self.stop_requested = False

    def train(self) -> None:
        """Run all stages, from the newest checkpoint if there is one.

        Raises:
            Interrupted: After Ctrl-C, with everything saved.
            TrainingError: The loss is not finite, or a checkpoint does not fit.
            DataError: Too many records were refused.
        """
        start = checkpoint.latest(self.run.path / "checkpoints")
        progress = start.progress if start else Progress()
        self._require_stage(start)
        for i, stage in enumerate(self.recipe.stages):
            if i < progress.stage:
                self.trained_names |= {name for group in freeze(self.model, stage).values() for name in group}
        if start:
            begun = self.recipe.stages[: progress.stage + (progress.step > 0)]
            load_weights(self.model, names_of(self.model, begun), start.weights, str(start.path))
            self.console.say(f"continuing after step {progress.total_steps}")
        self.metrics = self._log(progress.total_steps) if distributed.rank() == 0 else None
        try:
            with self._stoppable():
                for i in range(progress.stage, len(self.recipe.stages)):
                    progress = self._stage(i, progress, start if progress.step > 0 else None)
                    start = None
        finally:
            if self.metrics is not None:
                self.metrics.close()
        if distributed.rank() == 0:
            save_weights(self.model, self.trained_names, self.run.path / "weights" / "model.safetensors")
            self.run.finish()

    def _log(self, done: int) -> MetricsLog:
        trackers = build_trackers(self.recipe.trackers, self.run.path, self.recipe.name, done)
        return MetricsLog(self.run.path, done, trackers)

    def _require_stage(self, start: Checkpoint | None) -> None:
        """A checkpoint stands within the recipe's stages."""
        if start is not None and start.progress.stage + (start.progress.step > 0) > len(self.recipe.stages):
            raise TrainingError(
                f"{start.path}: stands in stage {start.progress.stage + 1} of a recipe with {len(self.recipe.stages)}; remove "
                "the folder to use the checkpoint before"
            )

    def _stage(self, index: int, progress: Progress, start: Checkpoint | None) -> Progress:
        stage = self.recipe.stages[index]
        trained = freeze(self.model, stage)
        self.trained_names |= {name for group in trained.values() for name in group}
        data = stage_data(self.model, self.recipe, stage, self.console)
        optimiser = Optimiser(stage, data.steps, trained)
        if start is not None:
            optimiser.load_state(start.optimiser, f"stage {stage.name}: {start.path}")
        parts = describe_parts(self.model)
        self.console.stage(index, len(self.recipe.stages), stage, data.steps, parts)
        objective = build_objective(stage.objective, Path(self.recipe.base))
        set_mode(self.model, trained, "train")
        self.ledger.rewind(stage.name, progress.step)
        for event in (event for loaded in data.validation for event in loaded.events):
            self.ledger.record(**vars(event), stage=stage.name)
        began = time.perf_counter() - progress.seconds
        steps = load_steps(data.reader, progress.step, data.steps, self.recipe.loading.workers)
        with self.console.bar(stage.name, progress.step, data.steps) as bar:
            for step, loaded in enumerate(steps, start=progress.step):
                for event in loaded.events:
                    self.ledger.record(**vars(event), stage=stage.name, step=step)
                self._check_ledger(stage, data, step)
                loss, norm, rates = None, 0.0, {}
                figures: dict[str, float] = {}
                if loaded.batch is not None:
                    loss, figures = self._accumulate(loaded.batch, objective, stage, optimiser, trained)
                    norm = optimiser.clip()
                    if not (math.isfinite(loss) and math.isfinite(norm)):
                        self._stop_not_finite(stage, loaded.batch, progress, loss, norm)
                    rates = optimiser.step(step)
                    figures |= self.model.after_step()
                    if isinstance(objective, Balanced):
                        figures |= objective.figures()
                    progress = replace(
                        progress,
                        samples=progress.samples + len(loaded.batch.conversations),
                        tokens=progress.tokens + loaded.batch.tokens,
                        supervised_tokens=progress.supervised_tokens + loaded.batch.supervised,
                    )
                progress = replace(
                    progress,
                    step=step + 1,
                    total_steps=progress.total_steps + 1,
                    seconds=time.perf_counter() - began,
                )
                values = {**self._values(stage, progress, loss, norm, rates), **figures}
                bar.update(values)
                if self.metrics is not None and (progress.step % stage.log_every == 0 or progress.step == data.steps):
                    self.metrics.write(progress.total_steps, values)
                if stage.validate_every and progress.step % stage.validate_every == 0:
                    self._validate(stage, data, progress, trained, objective)
                stop = distributed.any_rank(self.stop_requested, self.model.device)
                if stop or (progress.step % stage.checkpoint_every == 0 and progress.step < data.steps):
                    self._save(progress, optimiser)
                if stop:
                    raise Interrupted(
                        f"stopped after step {progress.step} of stage {stage.name}, everything is saved; go on with "
                        f"`{resume_command(self.run.path)}`"
                    )
        if progress.samples == 0:
            raise DataError(
                f"stage {stage.name}: every record was refused, so nothing was trained; {self._complaints(stage)}"
            )
        if distributed.rank() == 0:
            self.run.record_stage(stage.name, self._stage_facts(stage, data, parts, progress))
        progress = Progress(stage=index + 1, total_steps=progress.total_steps)
        self._save(progress, None)
        return progress

    def _accumulate(
        self, batch: StepBatch, objective: Objective, stage: StageConfig, optimiser: Optimiser, trained: Trained
    ) -> tuple[float, dict[str, float]]:
        """Gradients of one step, divided by the count over all micro-batches and ranks; the loss, and its parts."""
        micro = [
            (taught, part)
            for taught, rows in by_group(batch, stage.groups)
            for part in (rows.split(stage.micro_rows) if objective.splittable else [rows])
        ]
        count = sum(objective.count(part) for _, part in micro)
        if isinstance(objective, Balanced):
            objective.balance(self.model, [part for _, part in micro])
        mine = [(taught, self._own(part)) for taught, part in micro] if objective.gathers else distributed.share(micro)
        total = torch.zeros((), dtype=torch.float64, device=self.model.device)
        parts: dict[str, torch.Tensor] = {}
        for taught, part in mine:
            with teaching(self.model, trained, taught):
                loss = objective(self.model, part)
                total += loss.total.detach()
                for name, value in loss.parts.items():
                    parts[name] = parts.get(name, torch.zeros_like(total)) + value.detach()
                if loss.total.requires_grad:  # not where only adapters learn and these rows hold text alone
                    (loss.total / count).backward()  # type: ignore[no-untyped-call]
                    optimiser.collect()
        gradients = optimiser.gradients() if distributed.world_size() > 1 else []
        distributed.sum_over_ranks([total, *parts.values(), *gradients])
        return float(total) / count, {f"loss_{name}": float(value) / count for name, value in parts.items()}

    @staticmethod
    def _own(batch: StepBatch) -> StepBatch:
        """The rows that this process computes where every process takes a part of each batch."""
        world, rows = distributed.world_size(), len(batch.ids)
        if world == 1:
            return batch
        if rows < world:
            raise TrainingError(f"a batch of {rows} pairs cannot be shared by {world} processes; raise `batch_size`")
        return batch.rows(range(distributed.rank(), rows, world))

    def _stop_not_finite(
        self, stage: StageConfig, batch: StepBatch, progress: Progress, loss: float, norm: float
    ) -> NoReturn:
        """Write the batch out for a person to look at, and stop before anything is updated."""
        path = self.run.path / f"not-finite-{progress.total_steps:06d}"
        written = f"The batch was written to {path}"
        if distributed.rank() == 0:
            try:
                write_batch(path, batch, self.model)
            except (OSError, SafetensorError) as error:  # a disk that is full must not hide what is wrong
                written = f"The batch could not be written to {path} ({one_line(error)})"
        raise TrainingError(
            f"stage {stage.name}, step {progress.step + 1}: the loss is {loss} and the norm of its gradient {norm}. "
            f"{written}; look at its records, lower the learning rate, or clip harder "
            "(stages.N.clip)"
        )

    def _complaints(self, stage: StageConfig) -> str:
        """The ledger's commonest reasons with their counts, and a record for each."""
        counts = self.ledger.counts(stage.name)
        kinds = ", ".join(f"{count:,} × {dataset}: {kind}" for (dataset, _, kind), count in list(counts.items())[:3])
        return "\n  ".join([kinds, *self.ledger.examples(stage.name)])

    def _check_ledger(self, stage: StageConfig, data: StageData, step: int) -> None:
        mixture = data.reader.mixture
        self.ledger.check(
            self.recipe.loading.refused_share,
            stage=stage.name,
            seen=mixture.seen((step + 1) * stage.batch_size),
            sizes=mixture.sizes,
        )

    def _validate(
        self, stage: StageConfig, data: StageData, progress: Progress, trained: Trained, objective: Objective
    ) -> None:
        """The loss on the validation set, logged."""
        began = time.perf_counter()
        set_mode(self.model, trained, "eval")
        total, count = 0.0, 0
        parts: dict[str, float] = {}
        with torch.no_grad():
            for loaded in data.validation:
                if loaded.batch is not None:
                    micro = loaded.batch.split(stage.micro_rows) if objective.splittable else [loaded.batch]
                    if isinstance(objective, Balanced):
                        objective.balance(self.model, micro)
                    for part in micro:
                        loss = objective(self.model, part)
                        total, count = total + float(loss.total), count + loss.count
                        for name, value in loss.parts.items():
                            parts[name] = parts.get(name, 0.0) + float(value)
        set_mode(self.model, trained, "train")
        if self.metrics is not None and count:
            values = {"stage": stage.name, "step": progress.step, "validation_loss": total / count}
            values |= {f"validation_loss_{name}": value / count for name, value in parts.items()}
            self.metrics.write(progress.total_steps, values)
            self.console.say(
                f"{stage.name}, step {progress.step:,} of {data.steps:,}: validation loss {total / count:.4f}, "
                f"in {duration(time.perf_counter() - began)}"
            )

    def _save(self, progress: Progress, optimiser: Optimiser | None) -> None:
        if distributed.rank() == 0:
            weights = kept_weights(self.model, self.trained_names)
            checkpoint.save(self.run.path / "checkpoints", progress, weights, optimiser.state() if optimiser else {})

    def _values(
        self, stage: StageConfig, progress: Progress, loss: float | None, norm: float, rates: dict[str, float]
    ) -> dict[str, object]:
        return {
            "stage": stage.name,
            "step": progress.step,
            "loss": loss,
            "learning_rate": max(rates.values(), default=0.0),
            "learning_rates": rates,
            "gradient_norm": norm,
            "samples": progress.samples,
            "tokens": progress.tokens,
            "supervised_tokens": progress.supervised_tokens,
            "seconds": round(progress.seconds, 3),
            "tokens_per_second": round(progress.tokens / max(progress.seconds, 1e-9), 1),
        }

    def _stage_facts(self, stage: StageConfig, data: StageData, parts: list, progress: Progress) -> dict:  # type: ignore[type-arg]
        return stage_facts(
            parts,
            objective=stage.objective.kind,
            steps=data.steps,
            seconds=round(progress.seconds, 2),
            feature_seconds=round(data.feature_seconds, 2),
            samples=progress.samples,
            tokens=progress.tokens,
            supervised_tokens=progress.supervised_tokens,
            peak_memory_bytes=peak_memory(self.model.device),
        )

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl-C finishes the step under way and saves; a second one stops at once."""

        def request(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of handlers
            if self.stop_requested:
                raise KeyboardInterrupt
            self.stop_requested = True
            self.console.say("stopping after this step; press Ctrl-C again to stop without saving")

        try:
            before = signal.signal(signal.SIGINT, request)
        except ValueError:  # not the main thread: whoever started the thread stops it
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def peak_memory(device: torch.device) -> int:
    """The most memory used so far, in bytes: of the device, or of this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def train(
    recipe: Recipe,
    output: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Path:
    """Train a recipe.

    Args:
        recipe: What to train.
        output: The run's folder; `runs/NAME` by default.
        resume: Continue from the newest checkpoint in that folder.
        overwrite: Start again where there is a run already.
        quiet: Print nothing.

    Returns:
        The run's folder.

    Raises:
        TriptychError: See `Trainer.train`, and whatever building the model and the data raises.
    """
    from triptych.model.build import build

    if not recipe.stages:
        raise TrainingError("the recipe has no stages, so there is nothing to train")
    distributed.start()
    console = Console(quiet=quiet or distributed.rank() > 0)
    folder = output or Path("runs") / recipe.name
    with ExitStack() as held:
        run = _opened(folder, recipe, resume, overwrite, held)
        if resume and run.complete:
            console.say(f"{run.path}: this run is already complete")
            return run.path
        with console.status("loading the model"):
            model = build(recipe)
            if torch.cuda.is_available():
                model.to("cuda")
        try:
            Trainer(model, recipe, run, console).train()
        except FolderError as error:
            raise FolderError(
                f"{error}; then go on from the last checkpoint with `{resume_command(run.path)}`"
            ) from error
    return run.path


def _opened(folder: Path, recipe: Recipe, resume: bool, overwrite: bool, held: ExitStack) -> RunFolder:
    """The run's folder, held by the first process, and read by the others once it is ready.

    Raises:
        TriptychError: In the first process what is in the way, in the others that it is.
    """
    problem: TriptychError | None = None
    if distributed.rank() == 0:
        try:
            held.enter_context(locked(folder))
            run = RunFolder.start(folder, recipe, resume, overwrite)
        except TriptychError as error:
            problem = error
    failed = distributed.any_process(problem is not None)
    if problem is not None:
        raise problem
    if failed:
        raise TrainingError("the first process could not open the run's folder; it says why")
    return run if distributed.rank() == 0 else RunFolder.start(folder, recipe, resume=True)

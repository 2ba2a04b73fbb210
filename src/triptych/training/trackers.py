"""Where the figures of training go beside `metrics.jsonl`: TensorBoard, Weights & Biases, MLflow, or a tracker of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from triptych.errors import TrainingError
from triptych.registry import CustomConfig, build_custom, implementation
from triptych.training.config import MLflowConfig, TensorBoardConfig, TrackerConfig, WandbConfig


@runtime_checkable
class Tracker(Protocol):
    """Takes figures step by step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """The figures of a step: name (`STAGE/loss`) → value. Steps count over all stages."""
        ...

    def close(self) -> None:
        """Training ends, whether finished or interrupted."""
        ...


def build(configs: Sequence[TrackerConfig], folder: Path, name: str, start: int) -> list[Tracker]:
    """The trackers of a run.

    Args:
        configs: Which.
        folder: The run's.
        name: The run's.
        start: Steps that are behind it: what was tracked beyond them will be tracked again.

    Raises:
        TrainingError: A tracker's package is not installed.
        RecipeError: A tracker of one's own cannot be had.
    """
    made: list[Tracker] = []
    for config in configs:
        if isinstance(config, CustomConfig):
            own = build_custom("tracker", config, Tracker, folder=folder, name=name, start=start)  # type: ignore[type-abstract]
            made.append(own)
            continue
        try:
            made.append(implementation(config)(config, folder, name, start))
        except ImportError as error:
            if not config.optional:
                raise TrainingError(
                    f"trackers: {config.kind}: {error}; `pip install {config.package}`, or leave it out"
                ) from error
    return made


class TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, config: TensorBoardConfig, folder: Path, name: str, start: int) -> None:  # noqa: ARG002 - for all trackers
        from torch.utils.tensorboard import SummaryWriter

        self._board: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=start)  # type: ignore[no-untyped-call]

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.write`."""
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """See `Tracker.close`."""
        with suppress(OSError):
            self._board.close()


class Wandb:
    """A run of Weights & Biases; without a key, or with `mode: offline`, its files stay in the run's folder."""

    def __init__(self, config: WandbConfig, folder: Path, name: str, start: int) -> None:  # noqa: ARG002 - for all trackers
        import wandb

        self._run: Any = wandb.init(
            project=config.project, entity=config.entity, name=name, dir=str(folder), mode=config.mode, resume="allow",
            id=f"{name}-{sha256(str(folder.resolve()).encode()).hexdigest()[:8]}",
        )  # fmt: skip

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.write`."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """See `Tracker.close`."""
        self._run.finish()


class MLflow:
    """A run of MLflow, in the store of `uri` or in the run's folder."""

    def __init__(self, config: MLflowConfig, folder: Path, name: str, start: int) -> None:  # noqa: ARG002 - for all trackers
        import mlflow

        mlflow.set_tracking_uri(config.uri or (folder / "mlflow").resolve().as_uri())
        mlflow.set_experiment(config.experiment)
        self._mlflow: Any = mlflow
        mlflow.start_run(run_name=name)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.write`."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """See `Tracker.close`."""
        self._mlflow.end_run()

"""An optimiser on float32 master copies of whatever is trained in a lower precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from triptych.registry import CustomConfig
from triptych.training.config import StageConfig
from triptych.training.layer_decay import layer_factors
from triptych.training.optimisers import build
from triptych.training.schedule import rate_factor
from triptych.weights.accounting import difference

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW and LAMB keep of each parameter."""


class Optimiser:
    """The optimiser of one stage.

    A parameter in bfloat16 keeps a float32 master copy: gradients of micro-batches add up in float32, the
    update is made in float32, and the parameter is its rounding.

    Args:
        stage: Rates, schedule, decay.
        steps: Length of the stage.
        trained: Part → name → parameter.
    """

    def __init__(self, stage: StageConfig, steps: int, trained: Mapping[str, Mapping[str, nn.Parameter]]) -> None:
        self.stage, self.steps = stage, steps
        self.parameters = {name: p for group in trained.values() for name, p in group.items()}
        self.masters = {
            name: p if p.dtype == torch.float32 else nn.Parameter(p.detach().float())
            for name, p in self.parameters.items()
        }
        groups = [group for part, members in trained.items() for group in self._groups(part, members)]
        self.updates = build(stage, groups)
        self.moments = None if isinstance(stage.optimiser, CustomConfig) else MOMENTS

    def _groups(self, part: str, members: Mapping[str, nn.Parameter]) -> list[dict[str, Any]]:
        """Parameters of a part with one rate and one decay each; decayed ones first."""
        stage = self.stage
        peak = stage.learning_rates.get(part, stage.learning_rate)
        factors = layer_factors(members, stage.layer_decay[part]) if part in stage.layer_decay else {}
        groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
        for matrix in (True, False):
            for name, parameter in members.items():
                if _is_matrix(name, parameter) == matrix:
                    groups.setdefault((matrix, peak * factors.get(name, 1.0)), []).append(self.masters[name])
        return [
            {"params": found, "lr": rate, "peak": rate, "part": part, "adapts": matrix,
             "weight_decay": stage.weight_decay if matrix else 0.0}
            for (matrix, rate), found in groups.items()
        ]  # fmt: skip

    def collect(self) -> None:
        """Move the gradients of a micro-batch to the masters, where they add up in float32."""
        for name, parameter in self.parameters.items():
            master = self.masters[name]
            if master is parameter or parameter.grad is None:
                continue
            if master.grad is None:
                master.grad = parameter.grad.float()
            else:
                master.grad += parameter.grad
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """The collected gradients, in a fixed order; zeros where there were none."""
        for master in self.masters.values():
            if master.grad is None:
                master.grad = torch.zeros_like(master)
        return [master.grad for master in self.masters.values() if master.grad is not None]

    def clip(self) -> float:
        """Scale the gradient down to the stage's largest norm; returns the norm that it had."""
        gradients = self.gradients()
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if self.stage.clip is not None and norm > self.stage.clip:
            torch._foreach_mul_(gradients, self.stage.clip / norm)
        return norm

    def step(self, step: int) -> dict[str, float]:
        """Update, clear.

        Args:
            step: The step within the stage, from zero; it sets the rates.

        Returns:
            The rate of each part, of its last layer where they differ.
        """
        stage = self.stage
        factor = rate_factor(step, self.steps, stage.warmup, stage.schedule, stage.final_rate)
        for group in self.updates.param_groups:
            group["lr"] = group["peak"] * factor
        self.gradients()
        self.updates.step()
        self.updates.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if self.masters[name] is not parameter:
                    parameter.copy_(self.masters[name])
        rates: dict[str, float] = {}
        for group in self.updates.param_groups:
            rates[group["part"]] = max(group["lr"], rates.get(group["part"], 0.0))
        return rates

    def state(self) -> dict[str, Tensor]:
        """Masters and moments by name, for a checkpoint."""
        tensors = {}
        for name, master in self.masters.items():
            tensors[f"master/{name}"] = master.detach()
            for key, value in self.updates.state.get(master, {}).items():
                tensors[f"{key}/{name}"] = value
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor], where: str = "the checkpoint") -> None:
        """Continue from what `state` returned.

        Args:
            tensors: By name.
            where: They come from, for the message.

        Raises:
            WeightsError: It belongs to other parameters, or some of it is missing.
        """
        kept = self.moments or _kinds(tensors)
        self._require_whole(tensors, where, kept)
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(tensors[f"master/{name}"])
                if (parameter := self.parameters[name]) is not master:
                    parameter.copy_(master)
                saved = {key: tensors.get(f"{key}/{name}") for key in kept}
                moments = {key: value.to(master.device, copy=True) for key, value in saved.items() if value is not None}
                if moments:
                    self.updates.state[master] = moments

    def _require_whole(self, tensors: Mapping[str, Tensor], where: str, kept: Sequence[str]) -> None:
        """All masters, and all moments where there are any: before the first update there are none."""
        places = {f"master/{name}": master.detach() for name, master in self.masters.items()}
        if tensors.keys() - places.keys():
            for name, master in self.masters.items():
                own = {f"{key}/{name}": tensors.get(f"{key}/{name}", master) for key in kept}
                if self.moments is not None:
                    own = {key: torch.zeros(()) if key.startswith("step/") else master for key in own}
                places |= {key: torch.empty_like(tensor, device="meta") for key, tensor in own.items()}
        difference(places, tensors).require_none(where)


def _kinds(tensors: Mapping[str, Tensor]) -> list[str]:
    """What one's own optimiser keeps of each parameter, by the names in a checkpoint."""
    return [kind for kind in dict.fromkeys(name.partition("/")[0] for name in tensors) if kind != "master"]


def _is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: to matrices of layers and tables of embeddings, but not to learned positions."""
    return name.endswith(".weight") and parameter.dim() >= 2

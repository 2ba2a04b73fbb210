"""The devices that a recipe may run on, and what is assumed of them."""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass

from triptych.environment import hardware
from triptych.errors import RecipeError

GIB = 2**30


@dataclass(frozen=True)
class DeviceSpec:
    """A device.

    Args:
        name: What `--device` calls it.
        title: Its full name.
        bfloat16: Matrix products per second in bfloat16 with float32 sums, dense, in FLOP/s.
        float32: The same in float32 (on a GPU in TF32, which training does not use unless asked; hence plain float32).
        memory: Bytes that a process can have.
        utilisation: Share of that speed that training is assumed to reach.
        reserved: Bytes that the driver, kernels and workspaces take.
        origin: Where the figures come from.
    """

    name: str
    title: str
    bfloat16: float
    float32: float
    memory: float
    utilisation: float
    reserved: float
    origin: str

    @property
    def is_cpu(self) -> bool:
        """Whether this is no accelerator."""
        return self.name == "cpu"


def _gpu(name: str, title: str, bfloat16: float, float32: float, memory_gib: float) -> DeviceSpec:
    return DeviceSpec(name, title, bfloat16, float32, memory_gib * GIB, 0.40, 1.0 * GIB, "the maker's data sheet")


DEVICES: dict[str, DeviceSpec] = {
    spec.name: spec
    for spec in (
        _gpu("h100", "NVIDIA H100 SXM 80 GB", 989.4e12, 66.9e12, 79.1),
        _gpu("h200", "NVIDIA H200 SXM 141 GB", 989.4e12, 66.9e12, 139.8),
        _gpu("a100", "NVIDIA A100 SXM 80 GB", 312e12, 19.5e12, 79.1),
        _gpu("a100-40gb", "NVIDIA A100 SXM 40 GB", 312e12, 19.5e12, 39.4),
        _gpu("l40s", "NVIDIA L40S 48 GB", 362e12, 91.6e12, 44.4),
        _gpu("rtx4090", "NVIDIA GeForce RTX 4090", 165.2e12, 82.6e12, 23.5),
        _gpu("rtx3090", "NVIDIA GeForce RTX 3090", 71e12, 35.6e12, 23.6),
    )
}
"""By name. Memory is what a process sees, in GiB; 40 % is what well-kept training loops reach of the peak."""

CPU_UTILISATION = 0.40
"""Share of this machine's own matrix-product speed: what training a language model of 135 M parameters on short rows
reached on two cores (0.34 of 0.88 TFLOP/s)."""


def device(name: str) -> DeviceSpec:
    """The device of that name; `cpu` is this machine, measured.

    Raises:
        RecipeError: There is none.
    """
    if name == "cpu":
        return this_machine()
    if name not in DEVICES:
        near = difflib.get_close_matches(name.lower(), DEVICES, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RecipeError(f"--device {name!r} is not known{hint} (known: cpu, {', '.join(DEVICES)})")
    return DEVICES[name]


def this_machine() -> DeviceSpec:
    """The CPU of this machine, its matrix products timed for a moment in both precisions."""
    import torch

    facts = hardware("cpu")
    return DeviceSpec(
        name="cpu",
        title=f"{facts['cpu']}, {facts['cores']} cores",
        bfloat16=matmul_rate(torch.bfloat16),
        float32=matmul_rate(torch.float32),
        memory=(facts["memory_gib"] or 8.0) * GIB,
        utilisation=CPU_UTILISATION,
        reserved=1.0 * GIB,
        origin="measured now with matrix products of 1,024 × 1,024",
    )


def matmul_rate(dtype: object, size: int = 1024, seconds: float = 0.25) -> float:
    """FLOP/s of square matrix products on this CPU: the best of those that fit into `seconds`, at least two.

    Counted in the processor's time, so that other programs that are running now do not make the machine look slow.
    """
    import torch

    a = torch.randn(size, size).to(dtype)  # type: ignore[call-overload]
    b = torch.randn(size, size).to(dtype)  # type: ignore[call-overload]
    torch.mm(a, b)  # the first call sets up threads and kernels
    best, began, times = float("inf"), time.perf_counter(), 0
    while times < 2 or time.perf_counter() - began < seconds:
        start = time.process_time()
        torch.mm(a, b)
        best, times = min(best, time.process_time() - start), times + 1
    return 2 * size**3 * torch.get_num_threads() / max(best, 1e-6)

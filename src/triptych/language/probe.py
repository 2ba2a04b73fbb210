"""What a language model can do, found by comparing how Triptych calls it with the model's own forward pass.

    model ──► a small one of its class (`shrink`) ──► logits, packed rows, padding, cache, layers, attention ──► Capabilities
                                                                                                └ kept by configuration and versions

A way of calling that does not give the model's own numbers is never used: the next one is tried, and where none is left, the
reason is kept for the message that refuses it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from triptych.kernels import fast
from triptych.language import checks, checks_layers, checks_precision, checks_rows
from triptych.language.capabilities import Capabilities
from triptych.language.shrink import small_model
from triptych.weights.cache import cache_folder, written_atomically
from triptych.weights.quiet import silent

_KNOWN: dict[str, Capabilities] = {}


def prepare(model: Any) -> Capabilities:
    """Probe a model that transformers built, and switch it to faster arithmetic where that gives the same.

    Args:
        model: A causal language model, on any device, also on the meta device; LoRA not yet inserted.
    """
    capabilities = capabilities_of(model, fast.accelerable(model))
    fast.accelerate(model, capabilities.accelerated)
    return capabilities


def capabilities_of(model: Any, accelerated: bool) -> Capabilities:
    """What a model can do with faster attention, if wanted and as able as transformers' own, else with the latter.

    A verdict is kept in the cache folder by configuration and versions, so a model is probed once.
    """
    key = _key(model, accelerated)
    if key not in _KNOWN:
        path = cache_folder() / "probes" / f"{key}.json"
        known = _read(path)
        if known is None:
            known = _probed(model, accelerated)
            if not known.refused:
                _write(path, known)
        _KNOWN[key] = known
    return _KNOWN[key]


def _probed(model: Any, accelerated: bool) -> Capabilities:
    # Also where the model is being built on the meta device, the small one is real.
    with silent(), torch.inference_mode(), torch.device("cpu"):
        best = _probe(model, False)
        if accelerated and not best.refused:
            faster = _probe(model, True)
            best = faster if _rank(faster) >= _rank(best) else best
        return _in_precision(model, best)


def _in_precision(model: Any, known: Capabilities) -> Capabilities:
    """What is known of a model in float32, or that it cannot be used in its own precision."""
    if known.refused or model.dtype == torch.float32:
        return known
    with torch.inference_mode(False), torch.enable_grad():
        try:
            small = small_model(model)
        except Exception:  # there is no small one: the model itself was probed, in its own precision
            return known
        return checks_precision.precision(small, known, model.dtype)


def _rank(capabilities: Capabilities) -> tuple[bool, bool, bool, int, bool]:
    """How much a model can do; more is better."""
    return (
        not capabilities.refused,
        capabilities.packing != "rows",
        capabilities.pads,
        ("none", "steps", "shared").index(capabilities.cache),
        not capabilities.prompts_refused,
    )


def _probe(model: Any, accelerated: bool) -> Capabilities:
    """Everything about a small model of the class; of the model itself, where there can be no small one."""
    subject, changeable = _subject(model)
    if isinstance(subject, str):
        return Capabilities(refused=f"it cannot be probed: a small model of its class does not run ({subject})")
    if accelerated:
        fast.accelerate(subject, True)
    capabilities = checks.reading(subject, Capabilities(accelerated=accelerated))
    if capabilities.refused:
        return capabilities
    for check in (checks_rows.packing, checks_rows.padding, checks_rows.caching, checks_layers.layers):
        capabilities = check(subject, capabilities)
    return checks_layers.attention(subject, capabilities) if changeable else capabilities


def _subject(model: Any) -> tuple[Any | str, bool]:
    """What is probed, and whether it may be changed: the small model, or the model itself; or why neither can be."""
    try:
        small = small_model(model)
        if not (reason := checks.failure(small)):
            return small, True
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    return (reason, False) if on_meta or checks.failure(model.eval()) else (model, False)


def _key(model: Any, accelerated: bool) -> str:
    values = {k: v for k, v in model.config.to_dict().items() if k not in ("dtype", "torch_dtype", "_name_or_path")}
    code = hashlib.sha256()
    for name in (
        "attention",
        "cache",
        "capabilities",
        "checks",
        "checks_layers",
        "checks_precision",
        "checks_rows",
        "forward",
        "layers",
        "probe",
        "shrink",
    ):
        code.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    code.update(Path(fast.__file__).read_bytes())
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    parts = (values, kind, str(model.dtype), accelerated, torch.__version__, transformers.__version__, code.hexdigest())
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _read(path: Path) -> Capabilities | None:
    try:
        return Capabilities(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # none yet, or one of another version


def _write(path: Path, capabilities: Capabilities) -> None:
    from triptych.errors import WeightsError

    try:
        with written_atomically(path) as part:
            part.write_text(json.dumps(asdict(capabilities), indent=1), encoding="utf-8")
    except (OSError, WeightsError):
        pass  # a cache that cannot be written only costs time

"""The comparisons of the probe: each takes a model and what is known of it so far, and returns what is known then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from triptych.errors import RecipeError
from triptych.language import fast
from triptych.language.cache import new_cache, select_rows
from triptych.language.capabilities import Capabilities
from triptych.language.forward import embed, hidden_states, logits
from triptych.language.layers import attention_of, decoder_layers, decoder_of, head_dim_of, projections_of

LENGTH = 9
"""Tokens that are read: longer than the windows of a small model."""

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
"""How far numbers that should be equal may lie apart, over the largest of them; other precisions are coarser."""

COARSE = 4e-2


def tokens(model: Any, rows: int = 1, length: int = LENGTH, seed: int = 0) -> Tensor:
    """Ids `[R, L]`, none of which the configuration gives a meaning."""
    config = model.config.get_text_config(decoder=True)
    special = {v for k, v in model.config.to_dict().items() if k.endswith("token_id") and isinstance(v, int)}
    words = int(model.get_input_embeddings().weight.shape[0])
    limit = min(words, int(getattr(config, "vocab_size", words)), 120)
    plain = [i for i in range(3, limit) if i not in special] or list(range(limit))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(plain), generator=generator)
    chosen = torch.tensor(plain)[order][torch.arange(rows * length) % len(plain)].view(rows, length)
    return chosen.to(model.get_input_embeddings().weight.device)


def own_logits(model: Any, ids: Tensor) -> Tensor:
    """The model's own logits `[R, L, V]` of ids."""
    found: Tensor = model(input_ids=ids, use_cache=False).logits
    return found


def runs(model: Any) -> bool:
    """Whether the model's own forward pass gives numbers."""
    try:
        return bool(torch.isfinite(own_logits(model, tokens(model))).all())
    except Exception:  # noqa: BLE001 - whatever a class says
        return False


def same(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal up to rounding."""
    if found.shape != expected.shape:
        return False
    tolerance = TOLERANCE.get(expected.dtype, COARSE)
    scale = float(expected.abs().max())
    return bool(torch.isfinite(found).all()) and float((found - expected).abs().max()) <= tolerance * max(scale, 1e-6)


def places(ids: Tensor) -> Tensor:
    """Positions `[R, L]` from zero."""
    return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)


def read(model: Any, capabilities: Capabilities, ids: Tensor, **options: Any) -> Tensor:
    """The hidden states `[R, L, D]` of ids from the first position on."""
    return hidden_states(model, capabilities, embed(model, capabilities, ids), places(ids), **options)


def holds(check: Callable[[], bool]) -> bool:
    """Whether a check passes; what it raises counts as no."""
    try:
        return check()
    except Exception:  # noqa: BLE001 - a way of calling that a class does not know fails in its own words
        return False


def reading(model: Any, capabilities: Capabilities) -> Capabilities:
    """How embeddings become the model's own logits: positions, scales, head; and whether it is causal at all."""
    ids = tokens(model)
    expected = own_logits(model, ids)
    changed = ids.clone()
    changed[:, -1] = tokens(model, seed=1)[:, 0]
    if not same(own_logits(model, changed)[:, :-1], expected[:, :-1]):
        return replace(capabilities, refused="it is not causal: a later token changes what is predicted before it")
    if not isinstance(model.get_input_embeddings(), nn.Embedding):
        return replace(capabilities, refused="its input embeddings are no table of tokens")
    if model.get_output_embeddings() is None:
        return replace(capabilities, refused="it has no head that makes logits")
    reason = "embeddings in place of ids give other logits than its own"
    try:
        parameters = _parameters(decoder_of(model))
    except RecipeError as error:
        return replace(capabilities, refused=_line(error))
    capabilities = replace(
        capabilities,
        positions="position_ids" in parameters,
        masks="attention_mask" in parameters,
        cache_argument=next((name for name in ("cache", "past_key_values", "cache_params") if name in parameters), ""),
    )
    for candidate in _candidates(model, capabilities):
        try:
            hidden = read(model, candidate, ids)
            for own_head in (False, True):
                whole = replace(candidate, own_head=own_head)
                if holds(lambda whole=whole, hidden=hidden: same(logits(model, whole, hidden), expected)):  # type: ignore[misc]
                    return whole
        except Exception as error:  # noqa: BLE001 - the last one is the reason
            reason = f"it does not read embeddings: {_line(error)}"
    return replace(capabilities, refused=reason)


def _candidates(model: Any, capabilities: Capabilities) -> Iterator[Capabilities]:
    """Ways of reading embeddings, the usual one first."""
    yield capabilities
    padding = getattr(model.config.get_text_config(decoder=True), "pad_token_id", None)
    if capabilities.positions:
        if isinstance(padding, int):
            yield replace(capabilities, first_position=padding + 1)
        yield replace(capabilities, positions=False)
    scale = _embedding_scale(model)
    if scale not in (None, 1.0):
        yield replace(capabilities, embedding_scale=scale)


def _embedding_scale(model: Any) -> float | None:
    """What the first layer reads of ids over what it reads of their embeddings, where that is one number."""
    try:
        ids, seen = tokens(model), []
        handle = decoder_layers(model)[0].register_forward_pre_hook(
            lambda _module, args, kwargs: seen.append(_hidden_argument(args, kwargs)), with_kwargs=True
        )
        try:
            model(input_ids=ids, use_cache=False)
            model(inputs_embeds=model.get_input_embeddings()(ids), use_cache=False)
        finally:
            handle.remove()
        ratio = float(seen[0].norm() / seen[1].norm())
        return ratio if same(seen[1] * ratio, seen[0]) else None
    except Exception:  # noqa: BLE001 - then there is no scale to be had
        return None


def packing(model: Any, capabilities: Capabilities) -> Capabilities:
    """How documents in one row are kept apart: each has the hidden states that it has alone."""
    lengths = (5, 1, 4, 3)
    ids = tokens(model, length=sum(lengths) + 2)
    parts = ids[:, : sum(lengths)].split(lengths, dim=1)
    alone = torch.cat([read(model, capabilities, part) for part in parts], dim=1)
    positions = torch.cat([torch.arange(length) for length in (*lengths, 2)])[None].to(ids.device)
    numbers = torch.cat([torch.full((length,), n) for n, length in zip((*range(4), -1), (*lengths, 2), strict=True)])
    numbers = numbers[None].to(ids.device)
    for way in ("mask", "positions"):
        trial = replace(capabilities, packing=way)

        def check(trial: Capabilities = trial) -> bool:
            found = hidden_states(model, trial, embed(model, trial, ids), positions, numbers)
            if not same(found[:, : sum(lengths)], alone):
                return False
            changed = ids.clone()
            changed[:, 0] = tokens(model, seed=2)[:, 0]
            after = hidden_states(model, trial, embed(model, trial, changed), positions, numbers)
            return same(after[:, lengths[0] :], found[:, lengths[0] :]) and not torch.equal(after[:, 0], found[:, 0])

        if way == "mask" and not capabilities.accelerated:
            continue  # transformers' own masks know about windows and chunks: theirs come first
        if holds(check):
            return trial
    trial = replace(capabilities, packing="mask")
    if not capabilities.accelerated and holds(lambda: check(trial)):
        return trial
    return replace(capabilities, packing="rows")


def padding(model: Any, capabilities: Capabilities) -> Capabilities:
    """Whether rows padded on the left have the hidden states that they have alone."""
    ids = tokens(model, rows=2)

    def check() -> bool:
        mask, positions = _left_padded(ids, 3)
        found = hidden_states(model, capabilities, embed(model, capabilities, ids), positions, mask=mask)
        alone = read(model, capabilities, ids[1:, 3:])
        return same(found[:1], read(model, capabilities, ids[:1])) and same(found[1:, 3:], alone)

    return replace(capabilities, pads=holds(check))


def caching(model: Any, capabilities: Capabilities) -> Capabilities:
    """Whether what was read can be kept, in steps and behind padding, with the hidden states of reading it all."""
    if not capabilities.cache_argument:
        return replace(capabilities, cache="none")
    for way, masks_past in (("shared", True), ("steps", True), ("steps", False)):
        trial = replace(capabilities, cache=way, masks_past=masks_past)
        cuts = ((0, 4), (4, 7), (7, 8), (8, 9)) if way == "shared" else ((0, 6), (6, 7), (7, 8), (8, 9))
        if not holds(lambda trial=trial, cuts=cuts: _cached(model, trial, cuts, 0)):  # type: ignore[misc]
            continue
        if not trial.pads or holds(lambda trial=trial, cuts=cuts: _cached(model, trial, cuts, 2)):  # type: ignore[misc]
            return trial
        if not masks_past:  # a cache is worth more than rows side by side
            return replace(trial, pads=False)
    return replace(capabilities, cache="none")


def _cached(model: Any, capabilities: Capabilities, cuts: tuple[tuple[int, int], ...], pads: int) -> bool:
    """Reading in pieces equals reading whole: two rows, of which the second is padded on the left of its first piece.

    Where pieces may be continued behind padding, the second row is padded again in front of its second piece. In the
    end the rows change places.
    """
    ids = tokens(model, rows=2 if capabilities.pads else 1)
    cache: Any = new_cache(model, capabilities)
    gaps = [pads if row else 0 for row in range(len(ids))]
    whole = [read(model, capabilities, ids[row : row + 1, gaps[row] :]) for row in range(len(ids))]
    mask = ids.new_zeros(len(ids), 0)
    done = [0] * len(ids)
    order = list(range(len(ids)))
    for number, (start, end) in enumerate(cuts):
        piece = ids[order, start:end]
        new = torch.ones_like(piece)
        positions = torch.stack([torch.arange(start - gaps[row], end - gaps[row]) for row in order]).clamp(min=0)
        for place, row in enumerate(order):
            if number == 0:
                new[place, : gaps[row]] = 0
        if capabilities.cache == "shared" and number == 1 and pads and len(ids) > 1:
            # A gap between what was shared and what follows: one more column of padding in the second row.
            piece = torch.cat([piece[:, :1], piece], dim=1)
            new = torch.cat([new[:, :1], new], dim=1)
            new[:, 0] = 0
            positions = torch.cat([positions[:, :1], positions], dim=1)
        mask = torch.cat([mask, new], dim=1)
        found = hidden_states(
            model, capabilities, embed(model, capabilities, piece), positions.to(ids.device), mask=mask, cache=cache
        )
        for place, row in enumerate(order):
            expected = whole[row][:, max(0, start - gaps[row]) : end - gaps[row]]
            if not same(found[place : place + 1, found.shape[1] - expected.shape[1] :], expected):
                return False
        done = [end] * len(ids)
        if number == len(cuts) - 3 and len(ids) > 1:
            index = torch.tensor([1, 0], device=ids.device)
            select_rows(cache, index)
            order, mask = [order[1], order[0]], mask[index]
    return bool(done)


def layers(model: Any, capabilities: Capabilities) -> Capabilities:
    """Width of what the decoder's layers read, where something can be put in front of them."""
    name = type(model).__name__
    try:
        found = decoder_layers(model)
    except Exception as error:  # noqa: BLE001 - its message is the reason
        return replace(capabilities, layers_refused=_line(error), prompts_refused=_line(error))
    seen: dict[int, list[Any]] = {number: [] for number in range(len(found))}
    handles = [
        layer.register_forward_pre_hook(
            lambda _module, args, kwargs, number=number: seen[number].append(_hidden_argument(args, kwargs)),
            with_kwargs=True,
        )
        for number, layer in enumerate(found)
    ]
    try:
        ids = tokens(model, rows=2)
        read(model, capabilities, ids)
    finally:
        for handle in handles:
            handle.remove()
    times = {len(calls) for calls in seen.values()}
    shapes = {tuple(call.shape) if isinstance(call, Tensor) else () for calls in seen.values() for call in calls}
    reason = ""
    if times != {1}:
        reason = f"{name} does not run each of its layers once"
    elif len(shapes) > 1 or not all(len(shape) == 3 and shape[:2] == tuple(ids.shape) for shape in shapes):
        reason = f"the layers of {name} do not read one stream of hidden states"
    width = 0 if reason else next(iter(shapes))[2]
    return replace(capabilities, layer_width=width, layers_refused=reason, prompts_refused=reason)


def attention(model: Any, capabilities: Capabilities) -> Capabilities:
    """Whether something can be added to the attention of every layer. Changes the model's attention."""
    if capabilities.prompts_refused:
        return capabilities
    name = type(model).__name__
    modules = [attention_of(layer) for layer in decoder_layers(model)]
    if any(module is None for module in modules):
        reason = f"not every layer of {name} has attention with projections for keys and for values"
        return replace(capabilities, prompts_refused=reason)
    if capabilities.layer_width != model.get_input_embeddings().weight.shape[1]:
        return replace(capabilities, prompts_refused=f"the embeddings of {name} have another width than its layers")
    if not fast.extensible(model):
        reason = f"{name} computes attention in a way of its own that cannot be extended"
        return replace(capabilities, prompts_refused=reason)
    try:
        return replace(capabilities, prompts_refused=_prompts_refused(model, capabilities, modules))
    except AttributeError:  # projections that are no linear layers
        return replace(capabilities, prompts_refused=f"keys and values of {name} are made in a way of its own")


def _prompts_refused(model: Any, capabilities: Capabilities, modules: list[Any]) -> str:
    name = type(model).__name__
    queries: dict[int, list[Tensor]] = {number: [] for number in range(len(modules))}
    value = [0.0]

    def share(number: int) -> Callable[[Tensor, float], Tensor]:
        def added(query: Tensor, scale: float) -> Tensor:  # noqa: ARG001 - the interface of what is bound
            queries[number].append(query)
            return torch.full_like(query.transpose(1, 2), value[0])

        return added

    ids = tokens(model, rows=2)
    before = read(model, capabilities, ids)
    for number, module in enumerate(modules):
        fast.bind(module, share(number))
    try:
        silent = read(model, capabilities, ids)
        value[0] = 1.0
        loud = read(model, capabilities, ids)
    except Exception:  # noqa: BLE001 - queries and values of different widths, for example
        return f"what {name}'s attention returns has another shape than its queries"
    if any(len(calls) != 2 for calls in queries.values()):
        return f"{name} computes attention in a way of its own that cannot be extended"
    for number, module in enumerate(modules):
        heads, width = queries[number][0].shape[1], queries[number][0].shape[3]
        keys, values = (projection.weight.shape[0] for projection in projections_of(module) or ())
        if head_dim_of(module) != width or keys != values or keys % width or heads % (keys // width):
            return f"keys and values of {name} have other shapes than its queries"
    if {calls[0].shape[1] for calls in queries.values()} != {_heads(model)}:
        return f"the layers of {name} have different numbers of heads"
    if not same(silent, before) or same(loud, before):
        return f"what is added to the attention of {name} does not come out of it"
    return ""


def _heads(model: Any) -> int:
    return int(getattr(model.config.get_text_config(decoder=True), "num_attention_heads", 0))


def _left_padded(ids: Tensor, gap: int) -> tuple[Tensor, Tensor]:
    """Mask and positions of two rows, the second of which begins `gap` places later."""
    mask = torch.ones_like(ids)
    mask[1, :gap] = 0
    positions = torch.stack([torch.arange(ids.shape[1]), (torch.arange(ids.shape[1]) - gap).clamp(min=0)])
    return mask, positions.to(ids.device)


def _hidden_argument(args: Any, kwargs: Any) -> Any:
    return args[0] if args else kwargs.get("hidden_states")


def _parameters(decoder: Any) -> set[str]:
    import inspect

    return set(inspect.signature(decoder.forward).parameters)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

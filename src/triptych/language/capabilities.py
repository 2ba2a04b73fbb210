"""What a causal language model of transformers can do, as found by comparing it with its own forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Packing = Literal["mask", "positions", "rows"]
Caching = Literal["shared", "steps", "none"]


@dataclass(frozen=True)
class Capabilities:
    """How a language model is called so that its results are its own; see `probe`.

    Args:
        accelerated: Attention is that of `fast`, not transformers' own.
        positions: It takes `position_ids`.
        first_position: The id of the first position; RoBERTa's is the id of padding plus one.
        masks: It takes a two-dimensional `attention_mask`.
        masks_past: That mask has columns for what is in the cache; otherwise for what is read alone.
        reads_ids: Its layers read ids beside embeddings (Gemma 3n, Gemma 4); media have the id of padding there.
        packing: How documents in one row are kept apart: by a 4-D mask, by positions that start again, or not at all:
            then every row holds one document.
        pads: Whether prompts padded on the left answer as each alone does; otherwise prompts are answered one by one.
        cache: `shared`: what was read can be continued by several tokens, also behind padding; `steps`: only from the
            prompt on, token by token; `none`: everything is read again for every token.
        cache_argument: The name of the decoder's argument for the cache.
        own_head: Logits are made by the model's own forward pass, because they are not the head's output alone (scales,
            caps, a transform before the head).
        embedding_scale: What the decoder multiplies embeddings of ids with, but not embeddings that it is given.
        attention: The name, within a layer, of the module that computes attention and can be added to.
        layers_refused: Why nothing can be put in front of the layers; empty where it can.
        prompts_refused: Why nothing can be added to attention; empty where it can.
        refused: Why it cannot be used at all; empty where it can.
    """

    accelerated: bool = False
    positions: bool = True
    first_position: int = 0
    masks: bool = True
    masks_past: bool = True
    reads_ids: bool = False
    packing: Packing = "rows"
    pads: bool = False
    cache: Caching = "none"
    cache_argument: str = ""
    own_head: bool = False
    embedding_scale: float = 1.0
    attention: str = ""
    layers_refused: str = ""
    prompts_refused: str = ""
    refused: str = ""

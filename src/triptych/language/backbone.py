"""Any Hugging Face causal language model, as the middle panel: embeddings in, hidden states out, logits on demand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from triptych.errors import RecipeError
from triptych.kernels import fast
from triptych.language.capabilities import Capabilities
from triptych.language.forward import embed, hidden_states, logits
from triptych.language.new_tokens import NewTokens, introduce, new_names, start_of
from triptych.language.probe import capabilities_of
from triptych.language.template import ChatTemplate

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel


class LanguageModel(nn.Module):
    """A causal language model with its tokenizer and chat template.

    Args:
        model: A `transformers` causal language model, LoRA inserted or not.
        tokenizer: Its tokenizer.
        template: Writes conversations for it.
        capabilities: How it is called (`probe.prepare`); probed now where they are not given.

    Raises:
        RecipeError: It cannot be called so that its results are its own.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: Any, template: ChatTemplate, capabilities: Capabilities | None = None
    ) -> None:
        super().__init__()
        self.capabilities = capabilities or capabilities_of(model, model.config._attn_implementation == fast.NAME)
        if self.capabilities.refused:
            raise RecipeError(f"model.language: {type(model).__name__} cannot be used: {self.capabilities.refused}")
        self.model = model
        self.tokenizer = tokenizer
        self.template = template
        self.regions: NewTokens | None = None

    def add_tokens(self, names: Sequence[str], bins: int = 0) -> None:
        """Teach the tokenizer and the embeddings tokens that they do not know: `language.regions`, learned by that name.

        Args:
            names: The tokens; those that the tokenizer knows already are left as they are.
            bins: Side of the grid of locations that the last bins² of the names are; 0 where there is none.
        """
        words = [re.sub(r"[^A-Za-z]+", " ", name).strip() for name in names]
        ids = [self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else [] for text in words]
        new = new_names(self.tokenizer, names)
        if not new:
            return
        on_grid = bins if len(new) >= bins * bins and list(new[-bins * bins :]) == list(names[-bins * bins :]) else 0
        first = introduce(self.tokenizer, new)
        plain = new[: len(new) - on_grid**2]
        table = self.embedding.weight.detach().float()
        starts = start_of(plain, self.embedding, [ids[list(names).index(name)] for name in plain])
        self.regions = NewTokens(first, starts, on_grid, table.mean(dim=0), float(table.std()))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, without the tokenizer's special tokens other than those that stand for regions."""
        silent = set(self.tokenizer.all_special_ids)
        if self.template.regions is not None:
            silent -= {self.tokenizer.convert_tokens_to_ids(name) for name in self.template.regions.tokens}
        said = [token for token in ids if token not in silent]
        text: str = self.tokenizer.decode(said, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    @property
    def config(self) -> Any:
        """The transformers configuration."""
        return self.model.config

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return int(self.embedding.weight.shape[1])

    @property
    def embedding(self) -> nn.Embedding:
        """The table of token embeddings."""
        embedding = self.model.get_input_embeddings()
        assert isinstance(embedding, nn.Embedding)
        return embedding

    @property
    def placeholder(self) -> int:
        """A valid id to stand where media go and behind the end of rows."""
        for name in ("pad_token_id", "eos_token_id"):
            token = getattr(self.tokenizer, name, None)
            if token is not None:
                return int(token)
        return 0

    @property
    def max_positions(self) -> int | None:
        """The longest sequence that the model was made for, where it says so."""
        limit = getattr(self.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return int(limit) if limit else None

    def part(
        self, name: Literal["", "layers", "norms", "biases", "embeddings", "regions", "lora"] | str
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The named parameters of a part: all but LoRA (``""``), `layers`, `embeddings` (and the head), `regions`, or `lora`.

        Of the layers, `norms` are the weights of normalisations, told by their shape: no other `weight` is a vector;
        and `biases` all parameters of that name, normalisations' too (LLaMA has none).

        Raises:
            KeyError: There is no such part.
        """
        outer = {id(self.embedding.weight)} | {id(p) for p in self.model.get_output_embeddings().parameters()}
        layers = {"matrices", "norms", "biases"}
        kinds = {"": {*layers, "embeddings", "regions"}, "layers": layers}.get(name) or {
            part: {part} for part in ("norms", "biases", "embeddings", "regions", "lora")
        }[name]
        for key, parameter in self.named_parameters():
            steps = key.split(".")
            if steps[0] == "regions":
                kind = "regions"
            elif any(step.startswith("lora_") for step in steps):  # how peft names what it inserts
                kind = "lora"
            elif id(parameter) in outer:
                kind = "embeddings"
            elif steps[-1] == "weight" and parameter.dim() == 1:
                kind = "norms"
            else:
                kind = "biases" if steps[-1] == "bias" else "matrices"
            if kind in kinds:
                yield key, parameter

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings `[..., D]` of ids `[...]`."""
        if self.regions is None:
            return embed(self.model, self.capabilities, ids)
        return self.regions.embed(ids, self.embedding) * self.capabilities.embedding_scale

    def embed_text(self, text: str) -> Tensor:
        """Token embeddings `[L, D]` of a text as it stands, without special tokens."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self.embed(torch.tensor(ids, device=self.embedding.weight.device))

    def forward(
        self,
        embeddings_RLD: Tensor,
        positions_RL: Tensor,
        documents: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        ids: Tensor | None = None,
    ) -> Tensor:
        """The last hidden states `[R, L, D]`.

        Args:
            embeddings_RLD: What is read.
            positions_RL: Place of each token in its document.
            documents: `[R, L]`, for packed rows: the number of each token's document, -1 for padding. Documents do not
                see each other; their positions start again.
            mask: `[R, past + L]`, one where there is a token; for prompts that are padded on the left.
            cache: Keys and values of what was read before; extended in place.
            ids: `[R, L]` that the embeddings are of, for models whose layers read them too; any valid id where media stand.
        """
        return hidden_states(self.model, self.capabilities, embeddings_RLD, positions_RL, documents, mask, cache, ids)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits `[..., V]` of hidden states `[..., D]`, scaled and capped as the model does it."""
        extend = None if self.regions is None else self.regions.logits
        return logits(self.model, self.capabilities, hidden, extend)

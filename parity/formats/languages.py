"""Language models in: Meta's own shards, and GGUF files as llama.cpp reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from parity.check import Check
from parity.compare import compare, largest_difference
from parity.llama import logits
from parity.plain_llama import PlainLlama
from parity.tiny.weights import randomise
from parity.tiny.words import SPECIAL, tokenizer
from triptych.formats.llama import COLUMNS, NAMES, ROWS
from triptych.formats.rotary_order import interleave
from triptych.language.backbone import LanguageModel
from triptych.language.build import build as build_language
from triptych.language.config import LanguageConfig
from triptych.weights.quiet import silent

META = "Meta's published code, written plainly"
INNER = 48
PARAMS: dict[str, Any] = {"dim": 32, "n_layers": 2, "n_heads": 4, "norm_eps": 1e-6, "vocab_size": -1, "multiple_of": 16}

VARIANTS: dict[str, tuple[dict[str, Any], int, bool]] = {
    "LLaMA, one shard": (PARAMS, 1, False),
    "LLaMA, two shards": (PARAMS, 2, False),
    "LLaMA 3, two shards, keys shared": (PARAMS | {"n_kv_heads": 2, "rope_theta": 500_000.0}, 2, True),
}
"""`params.json`, number of shards, and whether the table of embeddings is cut along its words."""


@torch.no_grad()
def consolidated() -> Iterator[Check]:
    """Meta's `consolidated` shards; and our weights in Meta's code, rows of queries and keys in its order."""
    for name, (params, count, by_words) in VARIANTS.items():
        theirs = PlainLlama(params, len(tokenizer()), INNER).eval()
        randomise(theirs, 1)
        with TemporaryDirectory() as place, own_cache(Path(place)), silent():
            folder = Path(place) / "meta"
            write_shards(theirs.state_dict(), params, count, by_words, folder)
            tokenizer().save_pretrained(Path(place) / "words")
            ours = _loaded(folder, Path(place) / "words")
        yield Check(f"in: {name} (`consolidated`): logits", META, _apart(ours, theirs))
        randomise(ours.model, 2)
        theirs.load_state_dict(metas(ours.model.state_dict(), params))
        yield Check(f"out: {name} (no file is written; our weights in Meta's code): logits", META, _apart(ours, theirs))


@torch.no_grad()
def gguf() -> Iterator[Check]:
    """A GGUF file of a LLaMA: what is loaded from it, against the model that it was written from."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    from parity.tiny.systems import LLAMA

    with TemporaryDirectory() as place, own_cache(Path(place)), silent():
        theirs = AutoModelForCausalLM.from_config(LlamaConfig(**{**LLAMA, "vocab_size": len(tokenizer())})).eval()
        randomise(theirs, 1)
        path = Path(place) / "model.gguf"
        write_gguf(theirs, path)
        ours = _loaded(path, None)
        ids = _ids()
        mine, expected = logits(ours, ids[None])[0], theirs(ids[None]).logits[0]
        same = ours.tokenizer("It is red.")["input_ids"] == tokenizer()("It is red.")["input_ids"]
    reference = "transformers.LlamaForCausalLM"
    yield compare("in: GGUF, a LLaMA: logits", reference, mine, expected)
    yield Check("in: GGUF, a LLaMA: ids of a sentence that differ", "tokenizers", float(not same), bound=0.0)


def write_shards(state: Mapping[str, Tensor], params: dict[str, Any], count: int, by_words: bool, folder: Path) -> None:
    """Meta's layout, cut as fairscale's parallel layers are.

    Args:
        state: By Meta's names.
        params: Of `params.json`.
        count: How many shards.
        by_words: Whether the table of embeddings is cut along its words (LLaMA 3), or along its channels.
        folder: Is made.
    """
    folder.mkdir()
    (folder / "params.json").write_text(json.dumps(params))
    for shard in range(count):
        own = {}
        for name, tensor in state.items():
            layer = name.split(".")[-2]
            rows = layer in ROWS or (layer == "tok_embeddings" and by_words)
            cut = rows or layer in COLUMNS or layer == "tok_embeddings"
            own[name] = tensor.chunk(count, dim=0 if rows else 1)[shard].clone() if cut else tensor
        own["rope.freqs"] = torch.ones(4)
        torch.save(own, folder / f"consolidated.{shard:02}.pth")


def metas(state: Mapping[str, Tensor], params: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of transformers' `LlamaForCausalLM` by Meta's names and in Meta's order."""
    turns = {"wq": params["n_heads"], "wk": params.get("n_kv_heads", params["n_heads"])}
    renamed = NAMES.theirs(state)
    layers = {name: name.split(".")[-2] for name in renamed}
    return {name: interleave(t, turns[layers[name]]) if layers[name] in turns else t for name, t in renamed.items()}


def write_gguf(model: Any, path: Path) -> None:
    """A LLaMA with the tiny tokenizer as a GGUF file in float32, as llama.cpp's `convert_hf_to_gguf.py` writes it."""
    import gguf

    config, words = model.config, tokenizer()
    arch = gguf.MODEL_ARCH.LLAMA
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    model_of = json.loads(words.backend_tokenizer.to_str())["model"]
    order = sorted(words.get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([word for word, _ in order])
    writer.add_token_types([gguf.TokenType.CONTROL if word in SPECIAL else gguf.TokenType.NORMAL for word, _ in order])
    writer.add_token_merges([" ".join(pair) for pair in model_of["merges"]])
    writer.add_bos_token_id(words.convert_tokens_to_ids("<|im_start|>"))
    writer.add_eos_token_id(words.convert_tokens_to_ids("<|im_end|>"))
    writer.add_chat_template(words.chat_template)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        layer = name.split(".")[-2]
        rows = interleave(tensor, heads[layer]) if layer in heads else tensor
        theirs = names.get_name(name, try_suffixes=(".weight",))
        writer.add_tensor(theirs, rows.float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Conversions go into a folder of their own, which is gone afterwards, instead of the user's cache."""
    with patch.dict("os.environ", {"TRIPTYCH_CACHE": str(folder / "cache")}):
        yield


def _loaded(path: Path, words: Path | None) -> LanguageModel:
    values = {"weights": f"file:{path}", "precision": "float32"}
    return build_language(LanguageConfig(**values, tokenizer=None if words is None else f"file:{words}")).eval()


def _ids() -> Tensor:
    return torch.randint(11, 250, (13,), generator=torch.Generator().manual_seed(4))


def _apart(ours: LanguageModel, theirs: PlainLlama) -> float:
    return largest_difference(logits(ours, _ids()[None])[0], theirs(_ids()))

"""Runs out: `triptych export`, then transformers, peft or llama.cpp's arithmetic against our run.

Runs have random weights where training would have put learnt ones, LoRA among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from parity.check import Check
from parity.compare import compare, largest_difference
from parity.formats.asked import asked, picture, their_logits, write_run
from parity.formats.languages import own_cache, write_gguf
from parity.llama import logits
from parity.tiny.systems import LLAMA, TOWER
from parity.tiny.weights import randomise
from parity.tiny.words import tokenizer
from triptych.api import load
from triptych.conversation import Image
from triptych.families.dual.model import DualEncoder
from triptych.interchange.exporting import export
from triptych.interchange.importing import import_model
from triptych.language.build import build as build_language
from triptych.language.config import LanguageConfig
from triptych.weights.quiet import silent

PLAIN = {"normalise": False, "positions": False}
QFORMER = {"kind": "qformer", "queries": 3, "layers": 3, "width": 24, "heads": 3, "intermediate": 40, **PLAIN}
VISION = {"image_size": 16, "patch_size": 8, "width": 16, "layers": 2, "heads": 2}
SIGLIP_VISION = {
    **VISION, "class_token": False, "pooling": "attention", "projection": "none", "norm_pre": False, "patch_bias": True,
    "pixels": "half", "activation": "gelu_tanh",
}  # fmt: skip
TEXT = {"max_tokens": 24, "width": 16, "layers": 2, "heads": 2}
SIGLIP_TEXT = {
    **TEXT, "attention": "bidirectional", "pooling": "last", "projection": "bias", "activation": "gelu_tanh",
}  # fmt: skip
TEXTS = ("It is red.", "number 4, green", "a very long text " * 20)

COMPOSED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "llava": ("llava", {"kind": "mlp", **PLAIN}, {"model_type": "clip_vision_model", **TOWER}),
    "llava, linear, DINOv2": ("llava", {"kind": "linear", **PLAIN}, {"model_type": "dinov2", **TOWER}),
    "blip2": ("blip2", QFORMER, {"model_type": "blip_2_vision_model", **TOWER}),
    "instructblip": ("instructblip", {**QFORMER, "instruction": True}, {"model_type": "blip_2_vision_model", **TOWER}),
}
"""Name → format, adapter, tower."""

DUAL = {"clip": "words", "clip, an end token whose id is 2": "language", "siglip": "words"}
"""Name → folder of the tokenizer. transformers' CLIP pools elsewhere where the end token's id is 2, so it gets another."""

LOADED = {
    "llava": "LlavaForConditionalGeneration",
    "blip2": "Blip2ForConditionalGeneration",
    "instructblip": "InstructBlipForConditionalGeneration",
    "clip": "CLIPModel",
    "siglip": "SiglipModel",
}


def exported() -> Iterator[Check]:
    """Every format that `triptych export` writes."""
    with TemporaryDirectory() as place, own_cache(Path(place)), silent():
        folder = Path(place)
        write_language(folder / "language")
        tokenizer(end="</s>").save_pretrained(folder / "words")
        checks = [check for name in COMPOSED for check in _composed(name, folder)]
        checks += [check for name in DUAL for check in _dual(name, folder)]
        run = folder / "llava"
        checks += [make(run, folder) for make in (_language, _peft, _gguf_adapter)]
    yield from checks


def write_language(folder: Path) -> None:
    """A tiny LLaMA with its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(LlamaConfig(**{**LLAMA, "vocab_size": len(tokenizer())})).eval()
    randomise(model, 3)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def write_tower(values: dict[str, Any], folder: Path) -> None:
    """A vision model of transformers with random weights."""
    from transformers import AutoConfig, AutoModel
    from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel  # not among those of AutoModel

    options = {key: value for key, value in values.items() if key != "model_type"}
    config = AutoConfig.for_model(values["model_type"], **options)
    bare = values["model_type"] == "blip_2_vision_model"
    model = Blip2VisionModel(config) if bare else AutoModel.from_config(config)
    randomise(model, 4)
    model.save_pretrained(folder)


def recipe(adapter: dict[str, Any], bare: bool, tower: str, base: Path) -> dict[str, Any]:
    """The values of a recipe: a tower, an adapter, the LLaMA beside it with LoRA.

    Args:
        adapter: What it says about it.
        bare: Whether the tower's output is taken, class token and all, as BLIP-2 does.
        tower: The name of its folder.
        base: Where the folders are.
    """
    layer = {"layer": "output", "drop_cls": False} if bare else {"layer": -2}
    return {
        "name": "tiny",
        "base": str(base),
        "model": {
            "language": {"weights": "file:language", "precision": "float32", "lora": {"rank": 2, "alpha": 2.0}},
            "encoders": {"image": {"kind": "huggingface", "weights": f"file:{tower}", "precision": "float32", **layer}},
            "adapters": {"image": adapter},
        },
        "sequence": {"max_tokens": 96},
    }


@torch.no_grad()
def _composed(name: str, folder: Path) -> Iterator[Check]:
    format, adapter, tower = COMPOSED[name]
    write_tower(tower, folder / f"{name} tower")
    run = write_run(recipe(adapter, adapter["kind"] == "qformer", f"{name} tower", folder), folder / name)
    question = asked(load(run).model)
    theirs = _exported(run, format, folder / f"{name} out", LOADED[format])
    expected = their_logits(theirs, question, theirs.config.image_token_index)[:, : question.logits.shape[1]]
    yield compare(f"out: {name}, LoRA merged: logits", f"transformers.{LOADED[format]}", question.logits, expected)


@torch.no_grad()
def _dual(name: str, folder: Path) -> Iterator[Check]:
    siglip, format = name == "siglip", name.partition(",")[0]
    vision, text = (SIGLIP_VISION, SIGLIP_TEXT) if siglip else (VISION, TEXT)
    model = {
        "kind": "dual",
        "vision": {"kind": "vit", "architecture": vision, "fit": "squash"},
        "text": {"kind": "transformer", "architecture": text},
        "embed_dim": 16 if siglip else 8,
        "tokenizer": f"file:{DUAL[name]}",
        **({"bias": -10.0, "scale": 10.0} if siglip else {}),
    }
    run = write_run({"name": "tiny", "base": str(folder), "model": model}, folder / name)
    ours = load(run).model
    theirs = _exported(run, format, folder / f"{name} out", LOADED[format])
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder / f"{name} out")
    image = picture()
    inputs = processor(
        text=list(TEXTS),
        images=[image.open()],
        return_tensors="pt",
        padding="max_length" if siglip else True,
        truncation=True,
    )
    inputs.pop("attention_mask", None)
    outputs = theirs(**inputs)
    reference = f"transformers.{LOADED[format]}"
    yield Check(f"out: {name}, by its own processor: features and logits", reference, _apart(ours, image, outputs))
    import_model(str(folder / f"{name} out"), folder / f"{name} back")
    back = load(folder / f"{name} back").model
    yield Check(f"in: {name}, by `triptych import`: features and logits", reference, _apart(back, image, outputs))


def _apart(ours: DualEncoder, image: Image, theirs: Any) -> float:
    """How far the outputs of a dual encoder are from those of transformers, with a picture and `TEXTS`."""
    images, texts = ours.embed_images([image]), ours.embed_texts(list(TEXTS))
    logits = images @ texts.T * ours.logit_scale.exp() + (0 if ours.logit_bias is None else ours.logit_bias)
    expected = (theirs.image_embeds, theirs.text_embeds, theirs.logits_per_image)
    return largest_difference((images, texts, logits), expected)


@torch.no_grad()
def _language(run: Path, folder: Path) -> Check:
    theirs = _exported(run, "hf-language", folder / "merged", "LlamaForCausalLM")
    ids, ours = _words(run)
    return compare(
        "out: hf-language, LoRA merged: logits", "transformers.LlamaForCausalLM", theirs(ids[None]).logits[0], ours
    )


@torch.no_grad()
def _peft(run: Path, folder: Path) -> Check:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    export(run, "peft", folder / "adapter")
    base = AutoModelForCausalLM.from_pretrained(folder / "language")
    theirs = PeftModel.from_pretrained(base, str(folder / "adapter")).eval()
    ids, ours = _words(run)
    return compare("out: peft, LoRA alone: logits", "peft.PeftModel", theirs(ids[None]).logits[0], ours)


@torch.no_grad()
def _gguf_adapter(run: Path, folder: Path) -> Check:
    """The GGUF file of the base and of LoRA, added as llama.cpp adds them: W + alpha / rank · B A, in the file's order."""
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM

    export(run, "gguf-adapter", folder / "lora")
    base = AutoModelForCausalLM.from_pretrained(folder / "language").eval()
    write_gguf(base, folder / "base.gguf")
    adapter = GGUFReader(folder / "lora" / "adapter.gguf")
    alpha = float(adapter.fields["adapter.lora.alpha"].contents())
    pieces = {tensor.name: torch.tensor(tensor.data) for tensor in adapter.tensors}
    added = {name.removesuffix(".lora_a"): name for name in pieces if name.endswith(".lora_a")}
    file = GGUFReader(folder / "base.gguf", "r+")
    for tensor in file.tensors:
        if tensor.name in added:
            a, b = pieces.pop(f"{tensor.name}.lora_a"), pieces.pop(f"{tensor.name}.lora_b")
            tensor.data[:] += (alpha / len(a) * b @ a).numpy()
    if pieces:
        raise AssertionError(f"gguf-adapter: the base has no place for {sorted(pieces)[:3]}")
    file.data.flush()
    theirs = build_language(LanguageConfig(weights=f"file:{folder / 'base.gguf'}", precision="float32"))
    ids, ours = _words(run)
    return compare(
        "out: gguf-adapter, LoRA alone, added to a GGUF file: logits",
        "transformers' reader of GGUF",
        logits(theirs, ids[None])[0],
        ours,
    )


def _words(run: Path) -> tuple[Tensor, Tensor]:
    """Ids of a text, and our logits of them."""
    language = load(run).model.language
    ids = torch.tensor(language.tokenizer("It is red. It is blue.")["input_ids"])
    return ids, logits(language, ids[None])[0]


def _exported(run: Path, format: str, folder: Path, kind: str) -> Any:
    """What transformers loads from an exported run; nothing may be missing or left over."""
    import transformers

    export(run, format, folder)
    load: Callable[..., Any] = getattr(transformers, kind).from_pretrained
    model, report = load(folder, output_loading_info=True)
    if left := [*report["missing_keys"], *report["unexpected_keys"]]:
        raise AssertionError(f"{format}: {kind} misses or does not know {left[:5]}")
    return model.eval()

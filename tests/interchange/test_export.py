"""`triptych export`: what other libraries load from it computes what the run does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image as Pillow
from typer.testing import CliRunner

from parity.formats.asked import QUESTION, asked
from tiny_world import World
from triptych import cli, load
from triptych.interchange.catalogue import FORMATS
from triptych.interchange.errors import ExportError, UnknownFormat
from triptych.interchange.exporting import export
from triptych.interchange.finished import Finished
from triptych.interchange.language import lora_layers, merged_state
from triptych.language.build import build
from triptych.language.config import LanguageConfig, LoRAConfig
from triptych.model.build import build as build_model

Runs = Callable[[str], Path]

pytestmark = pytest.mark.usefixtures("tiny_cache")

ASKED = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]


def difference(a: Any, b: Any) -> float:
    return float((a - b).detach().abs().max())


def loaded(name: str, folder: Path) -> Any:
    model, report = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert model.dtype == torch.float32
    return model.eval()


@pytest.mark.parametrize("name", ["llava", "linear"])
def test_llava_answers_as_the_run_does(name: str, runs: Runs, world: World, tmp_path: Path) -> None:
    export(runs(name), "llava", tmp_path / "out")
    theirs = loaded("LlavaForConditionalGeneration", tmp_path / "out")
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out")
    question = asked(load(runs(name)).model, world.picture(3))
    logits, pixels = question.logits, question.pixels
    text = processor.apply_chat_template(ASKED, add_generation_prompt=True)
    picture = Pillow.open(world.folder / "pictures" / "03.png")
    inputs = processor(text=text, images=picture, return_tensors="pt")
    media = question.media.tolist()
    ids = inputs["input_ids"][0].tolist()
    assert [token == theirs.config.image_token_index for token in ids] == media
    assert [a for a, m in zip(ids, media, strict=True) if not m] == [
        b for b, m in zip(question.ids.tolist(), media, strict=True) if not m
    ]
    with torch.no_grad():
        found = theirs(input_ids=inputs["input_ids"], pixel_values=pixels).logits[0]
    assert difference(found[:, : logits.shape[1]], logits) < 1e-4
    assert difference(theirs(input_ids=inputs["input_ids"], pixel_values=pixels + 1).logits[0], found) > 1e-3
    said = theirs.generate(**inputs, max_new_tokens=4)[0, len(ids) :]
    assert theirs.config.image_token_index not in said.tolist()
    if name == "linear":  # what is padded or cropped differs by a pixel at the edges
        assert difference(inputs["pixel_values"], pixels) < 1e-5


@pytest.mark.parametrize(
    ("name", "kind"),
    [("blip2", "Blip2ForConditionalGeneration"), ("instructblip", "InstructBlipForConditionalGeneration")],
)
def test_a_qformer_with_a_language_model(name: str, kind: str, runs: Runs, world: World, tmp_path: Path) -> None:
    export(runs(name), name, tmp_path / "out")
    theirs = loaded(kind, tmp_path / "out")
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out")
    question = asked(load(runs(name)).model, world.picture(3))
    logits, pixels = question.logits, question.pixels
    prompt = processor.tokenizer.apply_chat_template(
        ASKED, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    assert len(prompt["input_ids"][0]) == len(question.ids)
    reads = {}
    if name == "instructblip":
        reads = {"qformer_input_ids": processor.qformer_tokenizer(QUESTION, return_tensors="pt").input_ids}
    with torch.no_grad():
        found = theirs(input_ids=prompt["input_ids"], pixel_values=pixels, **reads).logits[0]
    assert difference(found[:, : logits.shape[1]], logits) < 1e-4
    picture = Pillow.open(world.folder / "pictures" / "03.png")
    assert difference(processor.image_processor(images=[picture], return_tensors="pt").pixel_values, pixels) < 1e-5


@pytest.mark.parametrize(("name", "kind"), [("clip", "CLIPModel"), ("siglip", "SiglipModel")])
def test_dual_encoders(name: str, kind: str, runs: Runs, world: World, tmp_path: Path) -> None:
    export(runs(name), name, tmp_path / "out")
    theirs = loaded(kind, tmp_path / "out")
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out")
    ours = load(runs(name)).model
    pictures, texts = [world.picture(i) for i in range(3)], ["It is red.", "number 4, green", "a very long text " * 20]
    inputs = processor(
        text=texts,
        images=[Pillow.open(world.folder / "pictures" / f"{i:02}.png") for i in range(3)],
        return_tensors="pt",
        padding="max_length" if name == "siglip" else True,
        truncation=True,
    )
    inputs.pop("attention_mask", None)
    with torch.no_grad():
        found = theirs(**inputs)
        images, words = ours.embed_images(pictures), ours.embed_texts(texts)
        logits = images @ words.T * ours.logit_scale.exp() + (0 if ours.logit_bias is None else ours.logit_bias)
    assert difference(found.logits_per_image, logits) < 1e-4
    assert difference(found.image_embeds, images) < 1e-5
    assert difference(found.text_embeds, words) < 1e-5


def test_the_language_model_alone_has_lora_merged(runs: Runs, world: World, tmp_path: Path) -> None:
    export(runs("llava"), "hf-language", tmp_path / "merged")
    export(runs("llava"), "peft", tmp_path / "adapter")
    from peft import PeftModel

    ours = load(runs("llava")).model.language
    merged = loaded("LlamaForCausalLM", tmp_path / "merged")
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    ids = torch.tensor([ours.tokenizer("It is red. It is blue.")["input_ids"]])
    assert tokens("It is red. It is blue.")["input_ids"] == ids[0].tolist()
    assert tokens.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False).endswith("Hi<|im_end|>\n")
    with torch.no_grad():
        mine = ours.logits(ours(ours.embed(ids), torch.arange(ids.shape[1])[None]))
        assert difference(merged(ids).logits, mine) < 1e-4
        base = transformers.AutoModelForCausalLM.from_pretrained(world.folder / "language").eval()
        before = base(ids).logits
        wrapped = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
        assert difference(wrapped(ids).logits, mine) < 1e-4
    assert difference(before, mine) > 1e-3, "LoRA has learnt nothing that could be lost"


@torch.no_grad()
def test_updates_smaller_than_the_weights_precision_are_merged(world: World) -> None:
    """Weights in bfloat16, written in float32: what LoRA learnt is added without being rounded to bfloat16 before."""
    lora = LoRAConfig(rank=2, alpha=2.0)
    language = build(LanguageConfig(weights="file:language", precision="bfloat16", lora=lora), world.folder)
    generator = torch.Generator().manual_seed(0)
    for _, layer in lora_layers(language):
        layer.lora_B["default"].weight.copy_(
            torch.randn(layer.lora_B["default"].weight.shape, generator=generator) / 1e3
        )
    exact, rounded = (merged_state(language, dtype) for dtype in (torch.float32, torch.bfloat16))
    for name, layer in lora_layers(language):
        a, b = (part["default"].weight.double() for part in (layer.lora_A, layer.lora_B))
        expected = layer.base_layer.weight.double() + b @ a
        assert difference(exact[f"{name}.weight"].double(), expected) < 1e-7  # half a step of bfloat16 would be 5e-4
        assert torch.equal(rounded[f"{name}.weight"], exact[f"{name}.weight"].bfloat16())


def test_a_gguf_adapter_changes_llama_cpps_weights_by_what_was_learnt(runs: Runs, world: World, tmp_path: Path) -> None:
    """llama.cpp adds alpha / rank · B A to its own weights, in which the rows of queries and keys stand in another order."""
    import gguf

    export(runs("llava"), "gguf-adapter", tmp_path / "out")
    reader = gguf.GGUFReader(tmp_path / "out" / "adapter.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.type"] == "adapter" and fields["adapter.type"] == "lora"
    assert fields["general.architecture"] == "llama"
    tensors = {tensor.name: torch.tensor(tensor.data) for tensor in reader.tensors}
    assert len(tensors) == 2 * 2 * 7  # A and B, two layers, seven linear layers in each
    scale = fields["adapter.lora.alpha"] / len(tensors["blk.0.attn_q.weight.lora_a"])

    from triptych.interchange import finished

    base = transformers.AutoModelForCausalLM.from_pretrained(world.folder / "language").state_dict()
    language = finished.load(runs("llava")).language
    assert language is not None
    learnt = merged_state(language, torch.float32)
    names = {"attn_q": ("self_attn.q_proj", 4), "attn_k": ("self_attn.k_proj", 2), "ffn_down": ("mlp.down_proj", 0)}
    for theirs, (ours, heads) in names.items():
        for layer in range(2):
            a, b = (tensors[f"blk.{layer}.{theirs}.weight.lora_{part}"] for part in "ab")
            update = scale * b @ a
            name = f"model.layers.{layer}.{ours}.weight"
            expected = learnt[name] - base[name]
            if heads:  # convert_hf_to_gguf's own formula
                expected = (
                    expected.reshape(heads, 2, expected.shape[0] // heads // 2, *expected.shape[1:])
                    .swapaxes(1, 2)
                    .reshape(expected.shape)
                )
            assert difference(update, expected) < 1e-6
            assert update.abs().max() > 1e-4


def test_what_does_not_fit_is_said_and_what_would(runs: Runs, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as refused:
        export(trained, "llava", tmp_path / "out")
    said = str(refused.value)
    assert "model.adapters.image.normalise" in said and "model.adapters.image.pool" in said
    assert "model.adapters.image.positions" in said
    assert "It would fit into: hf-language" in said
    assert "clip" not in said.rpartition("fit into:")[2]
    assert not (tmp_path / "out").exists()
    with pytest.raises(ExportError, match="no two towers"):
        export(runs("llava"), "clip", tmp_path / "out")
    with pytest.raises(ExportError, match=r"(?s)has no language model.*would fit into: clip"):
        export(runs("clip"), "hf-language", tmp_path / "out")
    with pytest.raises(ExportError, match="instruction: true; the format 'instructblip' is for that"):
        export(runs("instructblip"), "blip2", tmp_path / "out")
    with pytest.raises(ExportError, match="no LoRA"):
        export(trained, "peft", tmp_path / "out")
    with pytest.raises(UnknownFormat, match="did you mean 'llava'"):
        export(trained, "lava", tmp_path / "out")


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        ({"kind": "text", "format": "kosmos2", "bins": 4}, "21 tokens for regions"),
        (
            {"kind": "embedding", "width": 16, "mask": None, "box": {"hidden": 16, "heads": 2}},
            "decoders of boxes and masks",
        ),
        ({"kind": "text", "format": "json"}, None),
    ],
)
def test_what_points_by_tokens_of_its_own_is_not_exported_without_them(
    regions: dict[str, Any], reason: str | None, world: World, tmp_path: Path
) -> None:
    recipe = world.recipe({"model.language.lora": {"rank": 2}, "model.regions": regions})
    run = Finished(tmp_path, recipe, build_model(recipe), frozenset(), torch.float32)
    for form in FORMATS:
        if form.name in ("llava", "hf-language", "peft"):
            told = [each for each in form.misfits(run) if "model.regions" in each]
            assert len(told) == (reason is not None) and all(str(reason) in each for each in told), form.name


def test_a_folder_is_replaced_only_when_that_is_said_and_is_whole_or_not_there(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    export(runs("llava"), "peft", target)
    with pytest.raises(ExportError, match="is there already"):
        export(runs("llava"), "peft", target)

    def fails(*arguments: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("triptych.interchange.exporting.card", fails)
    with pytest.raises(OSError, match="disk full"):
        export(runs("llava"), "hf-language", target, overwrite=True)
    assert (target / "adapter_config.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_shards_precision_and_the_card(runs: Runs, tmp_path: Path) -> None:
    done = export(runs("llava"), "llava", tmp_path / "out", dtype="bfloat16", shard="40KB")
    assert len([name for name in done.files if name.endswith(".safetensors")]) > 1
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "pipeline_tag: image-text-to-text" in card
    assert "records of colours shortened in learn: too long" in card
    assert "Not evaluated." in card and "## Licence" in card and "rank: 2" in card
    assert str(tmp_path) not in card and str(runs("llava").parent) not in card


def test_the_command_lists_what_fits_and_names_the_folder(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    listed = CliRunner().invoke(cli.app, ["export", str(runs("clip"))])
    assert listed.exit_code == 0
    fitting = [line.split()[1] for line in listed.output.splitlines() if " fits" in line]
    assert fitting == ["clip"] and "'dual' has no language model" in listed.output
    written = CliRunner().invoke(cli.app, ["export", str(runs("clip")), "--format", "clip"])
    assert written.exit_code == 0, written.output
    folder = tmp_path / "exported" / "clip-clip"
    assert all(path.stat().st_mode & 0o044 for path in folder.iterdir())  # others may read it
    (loads,) = [line for line in written.output.splitlines() if line.startswith("model = ")]
    assert loads == "model = CLIPModel.from_pretrained('exported/clip-clip')"

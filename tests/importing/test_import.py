"""`triptych import`: a run made of a foreign model computes what that model does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

from tiny_world import World, llama, tokenizer
from triptych import load
from triptych.conversation import Conversation, user
from triptych.importing import ImportFailed, import_model
from triptych.recipe import load_recipe
from triptych.sequence.pack import pack
from triptych.training.loop import train
from triptych.verify.clip import randomise

pytestmark = pytest.mark.usefixtures("tiny_cache")

QUESTION = "What colour is this?"
IMAGE = len(tokenizer())
SIZES = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2}
TOWER = {**SIZES, "image_size": 32, "patch_size": 8}
QFORMER = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40, "encoder_hidden_size": 16,
}  # fmt: skip
TEXT = llama(vocab_size=IMAGE + 1, tie_word_embeddings=False).to_dict()
OPT = {
    "model_type": "opt", "vocab_size": IMAGE + 1, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 128, "word_embed_proj_dim": 32, "pad_token_id": 0,
    "dropout": 0.0, "bos_token_id": 7, "eos_token_id": 8,
}  # fmt: skip


def llava(**options: Any) -> Any:
    vision = {"model_type": "clip_vision_model", **TOWER}
    values = {"vision_config": vision, "text_config": TEXT, "image_token_index": IMAGE, "tie_word_embeddings": False}
    return transformers.LlavaForConditionalGeneration(transformers.LlavaConfig(**{**values, **options}))


def siglip_llava() -> Any:
    vision = {"model_type": "siglip_vision_model", **TOWER}
    return llava(
        vision_config=vision,
        vision_feature_select_strategy="full",
        projector_hidden_act="linear",
        vision_feature_layer=1,
    )


def blip2(text: dict[str, Any] = OPT) -> Any:
    config = transformers.Blip2Config(
        vision_config=TOWER, qformer_config=QFORMER, text_config=text, num_query_tokens=4, image_token_index=IMAGE
    )
    return transformers.Blip2ForConditionalGeneration(config)


def instructblip() -> Any:
    qformer = {**QFORMER, "vocab_size": IMAGE, "max_position_embeddings": 20}
    config = transformers.InstructBlipConfig(
        vision_config=TOWER, qformer_config=qformer, text_config=TEXT, num_query_tokens=4, image_token_index=IMAGE
    )
    return transformers.InstructBlipForConditionalGeneration(config)


def kosmos2() -> Any:
    text = {"vocab_size": IMAGE + 1, "embed_dim": 32, "layers": 2, "ffn_dim": 48, "attention_heads": 4}
    config = transformers.Kosmos2Config(
        text_config=text | {"max_position_embeddings": 128}, vision_config=TOWER, latent_query_num=5
    )
    return transformers.Kosmos2ForConditionalGeneration(config)


def idefics(resampler: bool) -> Any:
    config = transformers.IdeficsConfig(
        vocab_size=IMAGE, additional_vocab_size=2, hidden_size=32, intermediate_size=48, num_hidden_layers=4,
        num_attention_heads=4, cross_layer_interval=2, use_resampler=resampler, bos_token_id=None, eos_token_id=None,
        pad_token_id=None, alpha_initializer="ones",
        vision_config={"embed_dim": 16, "image_size": 32, "patch_size": 8, "num_hidden_layers": 2,
                       "num_attention_heads": 2, "intermediate_size": 40},
        perceiver_config={"use_resampler": resampler, "resampler_n_latents": 5, "resampler_depth": 2,
                          "resampler_n_heads": 3, "resampler_head_dim": 8},
    )  # fmt: skip
    return transformers.IdeficsForVisionText2Text(config)


MODELS: dict[str, Callable[[], Any]] = {
    "llava": llava,
    "llava, tied": lambda: llava(text_config={**TEXT, "tie_word_embeddings": True}, tie_word_embeddings=True),
    "llava, SigLIP": siglip_llava,
    "blip-2": blip2,
    "blip-2, LLaMA": lambda: blip2(TEXT),
    "instructblip": instructblip,
    "kosmos-2": kosmos2,
    "idefics": lambda: idefics(False),
    "idefics, resampler": lambda: idefics(True),
}


def saved(name: str, folder: Path) -> Any:
    """A folder as the hub has it, of random weights."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    randomise(model, 1)
    model.tie_weights()
    model.save_pretrained(folder)
    # Kosmos counts positions past what has its padding's id, which is that of `<|im_start|>` here.
    tokens = tokenizer(template=None) if name == "kosmos-2" else tokenizer()
    if name.startswith("idefics"):
        tokens = copy.deepcopy(tokens)
        tokens.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
        assert tokens.convert_tokens_to_ids("<image>") == IMAGE
    tokens.save_pretrained(folder)
    if name == "instructblip":
        tokenizer().save_pretrained(folder / "qformer_tokenizer")
    return type(model).from_pretrained(folder).eval()


def their_logits(theirs: Any, ids: torch.Tensor, media: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    kind, row = theirs.config.model_type, ids.masked_fill(media, IMAGE)[None]
    with torch.no_grad():
        match kind:
            case "kosmos-2":
                found = theirs(
                    pixel_values=pixels, input_ids=row, image_embeds_position_mask=media[None], use_cache=False
                )
            case "idefics":
                seen = (torch.arange(len(ids)) >= int(media.int().argmax())).long()[None, :, None]
                found = theirs(input_ids=row, pixel_values=pixels[None], image_attention_mask=seen, use_cache=False)
            case "instructblip":
                asked = torch.tensor([tokenizer()(QUESTION)["input_ids"]])
                found = theirs(input_ids=row, pixel_values=pixels, qformer_input_ids=asked)
            case _:
                found = theirs(input_ids=row, pixel_values=pixels)
    logits: torch.Tensor = found.logits[0]
    return logits


@pytest.mark.parametrize("name", list(MODELS))
def test_a_run_computes_what_the_model_does(name: str, world: World, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path / "theirs")
    done = import_model(str(tmp_path / "theirs"), tmp_path / "run")
    model = load(tmp_path / "run").model
    picture = world.picture(3)
    layout = model.plan(Conversation((user(picture, QUESTION),)), reply=True)
    encoder: Any = model.encoder()
    pixels = encoder.prepare(picture)
    batch = replace(pack([layout], 256), pixels=(pixels,))
    with torch.no_grad():
        ours = model.language.logits(model(batch))[0][batch.documents[0] == 0]
    span, places = layout.spans[0], torch.arange(len(layout))
    media = (places >= span.start) & (places < span.start + span.length)
    shown = encoder.normalise(pixels[None], torch.float32)
    expected = their_logits(theirs, torch.tensor(layout.ids), media, shown)
    assert float((ours - expected).abs().max()) < 1e-4
    other = their_logits(theirs, torch.tensor(layout.ids), media, shown + 0.5)
    assert float((other - expected).abs().max()) > 1e-3, "the picture is not looked at"
    assert done.system.lower().replace(" ", "") in name.replace(" ", "").lower()
    assert isinstance(load(tmp_path / "run").ask(picture, QUESTION), str)


def test_a_recipe_starts_from_an_imported_run(world: World, tmp_path: Path) -> None:
    saved("llava", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "run")
    values = world.values()
    further = {
        "extends": str(tmp_path / "run" / "recipe.yaml"),
        "base": str(tmp_path / "run"),
        "model": {"start": f"run:{tmp_path / 'run'}"},
        "data": {"colours": {**values["data"]["colours"], "path": str(world.folder / "data.json"),
                             "images": str(world.folder / "pictures")}},
        "loading": {"workers": 0},
        "stages": [{**values["stages"][0], "steps": 1, "learning_rate": 1e-12, "weight_decay": 0.0}],
    }  # fmt: skip
    (tmp_path / "further.yaml").write_text(yaml.safe_dump(further))
    trained = train(load_recipe(tmp_path / "further.yaml"), tmp_path / "trained", quiet=True)
    before, after = (load(path).model.adapter().state_dict() for path in (tmp_path / "run", trained))
    assert all(float((before[name] - after[name]).abs().max()) < 1e-6 for name in before)
    again = {**further, "base": str(tmp_path / "run"), "model": {"start": f"run:{trained}"}}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(again))
    from triptych.model.build import build

    third = build(load_recipe(tmp_path / "again.yaml")).adapter().state_dict()
    assert all(torch.equal(third[name], after[name]) for name in after)


def test_what_cannot_be_imported_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match=r"no config\.json"):
        (tmp_path / "empty").mkdir()
        import_model(str(tmp_path / "empty"), tmp_path / "run")
    transformers.LlamaForCausalLM(llama()).save_pretrained(tmp_path / "llama")
    with pytest.raises(ImportFailed, match=r"(?s)type 'llama'.*needs no import"):
        import_model(str(tmp_path / "llama"), tmp_path / "run")
    torch.manual_seed(0)
    llava(vision_feature_layer=[-2, -1]).save_pretrained(tmp_path / "several")
    tokenizer().save_pretrained(tmp_path / "several")
    with pytest.raises(ImportFailed, match="several layers"):
        import_model(str(tmp_path / "several"), tmp_path / "run")
    assert not (tmp_path / "run").exists()

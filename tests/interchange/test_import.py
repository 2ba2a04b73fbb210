"""`triptych import`: a run made of a foreign model computes what that model does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
import yaml
from PIL import Image as Pillow

from parity.formats.asked import QUESTION, asked, their_logits
from parity.kosmos import tiny_kosmos2
from parity.kosmos_grounding import reference_answer, tiny_processor
from parity.tiny.systems import IMAGE, SIZES, SYSTEMS, TOWER, llava, saved
from tiny_world import World, llama, tokenizer
from triptych import Image, load
from triptych.errors import RecipeError
from triptych.families.composed.grounding import build_grounder
from triptych.generate.config import GenerationSettings
from triptych.grounding.text_grounder import TextGrounder
from triptych.interchange.errors import ImportFailed
from triptych.interchange.importing import import_model
from triptych.recipe import load_recipe
from triptych.training.loop import train

WORDS = {**SIZES, "vocab_size": IMAGE, "max_position_embeddings": 16, "eos_token_id": 8, "bos_token_id": None}

pytestmark = pytest.mark.usefixtures("tiny_cache")


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_a_run_computes_what_the_model_does(name: str, world: World, tmp_path: Path) -> None:
    theirs = saved(name, tmp_path / "theirs")
    done = import_model(str(tmp_path / "theirs"), tmp_path / "run")
    model, picture = load(tmp_path / "run").model, world.picture(3)
    question = asked(model, picture)
    expected = their_logits(theirs, question, IMAGE)
    assert float((question.logits - expected).abs().max()) < 1e-4
    other = their_logits(theirs, replace(question, pixels=question.pixels + 0.5), IMAGE)
    assert float((other - expected).abs().max()) > 1e-3, "the picture is not looked at"
    assert name.startswith(done.system)
    assert isinstance(load(tmp_path / "run").ask(picture, QUESTION), str)


def test_a_recipe_starts_from_an_imported_run(world: World, tmp_path: Path) -> None:
    saved("LLaVA", tmp_path / "theirs")
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
    before, after = (load(path).model.adapter("image").state_dict() for path in (tmp_path / "run", trained))
    assert all(float((before[name] - after[name]).abs().max()) < 1e-6 for name in before)
    again = {**further, "base": str(tmp_path / "run"), "model": {"start": f"run:{trained}"}}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(again))
    from triptych.model.build import build

    third = build(load_recipe(tmp_path / "again.yaml")).adapter("image").state_dict()
    assert all(torch.equal(third[name], after[name]) for name in after)


def test_what_needs_no_import_and_half_a_clip(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "params.json").write_text("{}")
    with pytest.raises(ImportFailed, match=r"Meta's layout needs no import: name the folder in a recipe"):
        import_model(str(tmp_path / "meta"), tmp_path / "run")
    torch.manual_seed(0)
    clip = transformers.CLIPModel(transformers.CLIPConfig(vision_config=TOWER, text_config=WORDS, projection_dim=8))
    clip.save_pretrained(tmp_path / "clip")
    with pytest.raises(ImportFailed, match=r"no tokenizer there; expected one of tokenizer\.json"):
        import_model(str(tmp_path / "clip"), tmp_path / "run")
    tokenizer(end="</s>").save_pretrained(tmp_path / "clip")
    done = import_model(str(tmp_path / "clip"), tmp_path / "run")
    assert done.dual and load(tmp_path / "run").similarity([Image(Pillow.new("RGB", (9, 9)))], ["red"]).shape == (
        1,
        1,
    )
    with pytest.raises(RecipeError, match="triptych match"):
        load(tmp_path / "run").require("answers", "run")


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


def test_an_imported_kosmos_2_is_asked_for_regions_as_it_was_taught(world: World, tmp_path: Path) -> None:
    """The same tokens as the reference's processor and model, greedily."""
    processor = tiny_processor()
    reference = tiny_kosmos2(len(processor.tokenizer))
    reference.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    reference.save_pretrained(tmp_path / "theirs")
    processor.save_pretrained(tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "run")
    model, picture = load(tmp_path / "run"), world.picture(3)
    settings = GenerationSettings(max_new_tokens=20)
    grounder = build_grounder(model, settings)
    assert isinstance(grounder, TextGrounder)
    for question, prompt in (
        (grounder.request(picture, "a red square"), "<grounding><phrase>a red square</phrase>"),
        (grounder.caption_request(picture), "<grounding>An image of"),
    ):
        expected = reference_answer(reference, processor, picture.open(), prompt)
        (answer,) = model.generator.answers([question], settings)
        assert list(answer.tokens) == expected
    assert grounder.ground(picture, "a red square").verdict in ("valid", "repaired", "invalid")

"""An exported folder reads conversations as the run does, for every template and kind of tokenizer; or it is not written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from template_combinations import CONVERSATIONS, RED, SOURCES
from tiny_tokenizers import tiny_tokenizer
from tiny_world import World, llama
from triptych.conversation import Conversation
from triptych.interchange.catalogue import format_called
from triptych.interchange.chat import processor_reads, tokenizer_reads
from triptych.interchange.errors import ExportError
from triptych.interchange.exporting import export
from triptych.interchange.finished import Finished
from triptych.model.build import build

pytestmark = pytest.mark.usefixtures("tiny_cache")

NAMED = ["plain", "vicuna", "llava-v1", "minigpt4", "minigpt4-v2", "instructblip", "alpaca", "kosmos-2"]
KINDS = ["byte-level BPE (Llama 3, Qwen)", "SentencePiece BPE, a space first"]


def finished(world: World, folder: Path, template: str, kind: str, system: str | None = None) -> Finished:
    """An untrained run with a tokenizer that puts a beginning of text in front of whatever it encodes."""
    from tokenizers.processors import TemplateProcessing

    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer(kind).backend_tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    first = made.convert_tokens_to_ids("<s>")
    made.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", first)])
    made.save_pretrained(folder / "words")
    language: dict[str, Any] = {
        "architecture": {**llama(vocab_size=len(made)).to_dict(), "model_type": "llama"},
        "tokenizer": f"file:{folder / 'words'}",
        "precision": "float32",
        "chat_template": template,
        "system": system,
    }
    adapter = {"kind": "mlp", "normalise": False, "positions": False}
    changes = {"model.language": language, "model.adapters.image": adapter, "sequence.max_tokens": 512}
    recipe = world.recipe(changes)
    return Finished(folder, recipe, build(recipe), frozenset(), torch.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NAMED, "qwen3", "deepseek-r1", "llama2"])
def test_a_processor_reads_what_the_run_reads(name: str, kind: str, world: World, tmp_path: Path) -> None:
    run = finished(world, tmp_path, SOURCES.get(name, name), kind)
    format_called("llava").write(run, tmp_path, "5GB")
    assert format_called("llava").differs(run, tmp_path) is None
    processor = transformers.AutoProcessor.from_pretrained(tmp_path)
    image = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    compared = 0
    for messages in CONVERSATIONS.values():
        prompt = messages[:-1]
        layout = run.model.plan(Conversation.of(prompt), reply=True)  # type: ignore[operator]
        ids = list(layout.ids)
        for span in layout.spans:
            ids[span.start : span.start + span.length] = [image] * span.length
        for row in processor_reads(processor, prompt, [RED for message in prompt for _ in message.media]):
            assert list(row) == ids
            compared += 1
    assert compared == 2 * len(CONVERSATIONS)


@pytest.mark.parametrize("system", [None, "", "Be brief."])
@pytest.mark.parametrize("name", ["vicuna", "minigpt4-v2", "qwen3"])
def test_the_language_model_alone_reads_what_the_run_reads(
    name: str, system: str | None, world: World, tmp_path: Path
) -> None:
    run = finished(world, tmp_path, SOURCES.get(name, name), KINDS[1], system)
    format_called("hf-language").write(run, tmp_path, "5GB")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for messages in CONVERSATIONS.values():
        if not any(message.media for message in messages):
            layout = run.model.plan(Conversation.of(messages[:-1]), reply=True)  # type: ignore[operator]
            assert tokenizer_reads(tokenizer, messages[:-1]) == layout.ids
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id, "plain text is encoded as before"


def test_a_folder_that_reads_otherwise_is_not_written(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "triptych.interchange.language.for_transformers", lambda *_: "{% for m in messages %}Q {% endfor %}"
    )
    with pytest.raises(
        ExportError, match=r"would read other tokens than the run did, of a question: .* in what was written"
    ):
        export(runs("llava"), "llava", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_picture_is_no_token_that_the_template_writes_itself(world: World, tmp_path: Path) -> None:
    run = finished(world, tmp_path, "kosmos-2", KINDS[0])
    reasons = format_called("blip2").misfits(run)
    assert any("writes <image>, which stands for pictures in BLIP-2" in reason for reason in reasons)


def test_every_prompt_is_compared(world: World, tmp_path: Path) -> None:
    """A folder that forgets what was said before is told apart, by a follow-up."""
    run = finished(world, tmp_path, "plain", KINDS[0])
    format_called("llava").write(run, tmp_path, "5GB")
    made = transformers.AutoProcessor.from_pretrained(tmp_path)
    forgetful = made.chat_template.replace("for m in messages", "for m in messages[-1:]")
    (tmp_path / "chat_template.jinja").write_text(forgetful)
    difference = format_called("llava").differs(run, tmp_path)
    assert difference is not None and difference.startswith("a follow-up")

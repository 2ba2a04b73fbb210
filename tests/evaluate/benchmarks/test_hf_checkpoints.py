"""Checkpoints of transformers whose processors differ in who writes the token for a picture, and where a template is.

Those that need no torchvision; `tests/prove/test_vision_language.py` takes all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image as Pillow

import tiny_vlms
from triptych.conversation import Conversation, Image, user
from triptych.errors import GenerationError, WeightsError
from triptych.evaluate.responders.huggingface import HuggingFaceResponder
from triptych.generate.config import GenerationSettings

SETTINGS = GenerationSettings(max_new_tokens=6, batch_size=4)
QUESTIONS = ("What colour is this?", "Say hello.", "And on the left? And on the right? Who is it?")

Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A checkpoint by its name, written once."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tiny_vlms.write(name, tmp_path_factory.mktemp("checkpoints") / name)
        return made[name]

    return folder


def pictures() -> list[Pillow.Image]:
    noise = torch.randint(0, 256, (3, 4, 5, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return [Pillow.fromarray(each.numpy()).resize((40, 32), Pillow.Resampling.NEAREST) for each in noise]


def ours(folder: Path) -> list[str]:
    asked = [Conversation((user(Image(p), q),)) for p, q in zip(pictures(), QUESTIONS, strict=True)]
    return [reply.text for reply in HuggingFaceResponder(str(folder)).respond(asked, SETTINGS)]


@torch.inference_mode()
def theirs(folder: Path, prompt: Callable[[str], str], *, start: Callable[[int], int]) -> list[str]:
    """One at a time, as the pages of transformers show; `start` is where the answer begins behind a prompt's length."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    said = []
    for picture, question in zip(pictures(), QUESTIONS, strict=True):
        inputs = processor(images=picture, text=prompt(question), return_tensors="pt")
        out = model.generate(**inputs, max_new_tokens=6, do_sample=False)[0, start(inputs["input_ids"].shape[1]) :]
        ends = [i for i, token in enumerate(out.tolist()) if token == processor.tokenizer.eos_token_id]
        said.append(processor.tokenizer.decode(out[: ends[0]] if ends else out, skip_special_tokens=True).strip())
    return said


@pytest.mark.parametrize(
    ("name", "prompt", "start"),
    [
        ("blip2_opt", str, int),  # the processor writes the pictures' tokens
        ("blip2_t5", str, lambda _: 1),  # `generate` returns no prompt, but the token that starts the decoder
        ("instructblip_llama", str, int),
        ("instructblip_t5", str, lambda _: 1),
        ("paligemma", str, int),
        ("kosmos2", str, int),
        ("git", str, int),  # no token stands for a picture
        ("blip", str, lambda length: length - 1),  # the prompt comes back without its closing token
        ("llava_no_template", "<image>\n{}".format, int),
        (
            "llava_tokenizer_template",
            "<|im_start|>user\n<image>\n{}<|im_end|>\n<|im_start|>assistant\n".format,
            int,
        ),
    ],
)
def test_answers_equal_those_of_transformers(
    name: str, prompt: Callable[[str], str], start: Callable[[int], int], folders: Folders
) -> None:
    assert ours(folders(name)) == theirs(folders(name), prompt, start=start)


def test_begin_of_text_is_written_once(folders: Folders, tmp_path: Path) -> None:
    """A template writes it, and the tokenizer would add another."""
    model, processor = tiny_vlms.llava()
    processor.tokenizer = tiny_vlms.framed(processor.tokenizer)
    processor.tokenizer.bos_token = "<s>"
    processor.chat_template = tiny_vlms.template(begin="{{ bos_token }}")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    responder = HuggingFaceResponder(str(tmp_path))
    prompt = responder.prompts.write(Conversation((user(Image(pictures()[0]), QUESTIONS[0]),)))
    ids = responder.prompts.encode([prompt], [[pictures()[0]]])["input_ids"][0].tolist()
    chat = [
        {"role": "user", "content": [{"type": "image", "image": pictures()[0]}, {"type": "text", "text": QUESTIONS[0]}]}
    ]
    expected = responder.processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert ids == expected["input_ids"][0].tolist()
    assert ids.count(responder.tokenizer.bos_token_id) == 1


@torch.inference_mode()
def test_a_template_that_writes_all_tokens_of_a_picture_gets_no_more(tmp_path: Path) -> None:
    """As exports of InstructBLIP have it: pictures anywhere, the Q-Former reads the question alone."""
    model, processor = tiny_vlms.instructblip_llama()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    processor.tokenizer.chat_template = tiny_vlms.template(picture="<image>" * 4)
    model.eval().save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    said = []
    for picture, question in zip(pictures(), QUESTIONS, strict=True):
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        prompt = processor.tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        assert (prompt["input_ids"] == model.config.image_token_id).sum() == 4
        pixels = processor.image_processor(images=[picture], return_tensors="pt")
        read = processor.qformer_tokenizer(question, return_tensors="pt")
        out = model.generate(
            **prompt, **pixels, qformer_input_ids=read.input_ids, qformer_attention_mask=read.attention_mask,
            max_new_tokens=6, do_sample=False,
        )  # fmt: skip
        new = out[0, prompt["input_ids"].shape[1] :]
        said.append(processor.tokenizer.decode(new, skip_special_tokens=True).strip())
    assert ours(tmp_path) == said


def test_a_model_that_wants_a_picture_says_so(folders: Folders) -> None:
    responder = HuggingFaceResponder(str(folders("blip2_opt")))
    with pytest.raises(GenerationError, match="it may want a picture with every question") as error:
        responder.respond([Conversation((user("Say hello."),))], SETTINGS)
    assert "\n" not in str(error.value)


def test_a_tokenizer_alone_is_no_processor(folders: Folders, tmp_path: Path) -> None:
    model, processor = tiny_vlms.llava()
    model.save_pretrained(tmp_path)
    processor.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(WeightsError) as error:
        HuggingFaceResponder(str(tmp_path))
    assert "\n" not in str(error.value)

"""The other side: what a user of transformers writes to train and to ask LLaVA.

`LlavaForConditionalGeneration` out of `from_pretrained`, the `Trainer`, a collator that pads to the longest of the batch,
labels from the chat template. Pictures are handed over as pixel values that were made before the clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer, LlavaForConditionalGeneration, Trainer, TrainerCallback, TrainingArguments
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from benchmarks.setting import IMAGE_TOKEN, PROJECTOR
from triptych.conversation import Conversation

Example = dict[str, Any]


def load(folder: Path, precision: str) -> tuple[Any, Any]:
    """Model and tokenizer.

    Args:
        folder: Of `save_pretrained`.
        precision: `float32`; `pure` (every weight in bfloat16); or `mixed` (bfloat16, but what is trained stays in
            float32 under autocast: the caller says what is trained).
    """
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    if precision != "pure":
        states = load_file(folder / PROJECTOR)
        for number, layer in (
            (1, model.model.multi_modal_projector.linear_1),
            (2, model.model.multi_modal_projector.linear_2),
        ):
            layer.float().load_state_dict({key[2:]: value for key, value in states.items() if key[0] == str(number)})
    return model, AutoTokenizer.from_pretrained(folder)


def example(conversation: Conversation, tokenizer: Any, positions: int, prompt: bool = False) -> Example:
    """Ids, labels and pixel values; everything that the assistant says, and the end of its turn, is a label."""
    messages = [{"role": m.role, "content": _content(m, positions)} for m in conversation.messages]
    ids = _ids(tokenizer, messages, prompt)
    labels = [-100] * len(ids)
    for i, message in enumerate(messages):
        if message["role"] == "assistant":
            start = len(_ids(tokenizer, messages[:i], True))
            end = len(_ids(tokenizer, messages[: i + 1], False)) - 1  # the newline behind the end of the turn
            labels[start:end] = ids[start:end]
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels), "pixel_values": _pixels(conversation)}


def _content(message: Any, positions: int) -> str:
    return "".join(part if isinstance(part, str) else IMAGE_TOKEN * positions for part in message.parts)


def _ids(tokenizer: Any, messages: Sequence[dict[str, str]], prompt: bool) -> list[int]:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _pixels(conversation: Conversation) -> Tensor:
    (image,) = conversation.media
    size = 224
    picture = image.open().resize((size, size)) if image.open().size != (size, size) else image.open()
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(size, size, 3).permute(2, 0, 1)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return (pixels / 255 - mean) / std


class Collator:
    """Pads to the longest example of the batch."""

    def __init__(self, pad: int, dtype: torch.dtype, left: bool = False) -> None:
        self.pad, self.dtype, self.side = pad, dtype, "left" if left else "right"

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        ids = [one["input_ids"] for one in examples]
        padded = {
            "input_ids": pad_sequence(ids, True, self.pad, self.side),
            "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], True, 0, self.side),
            "pixel_values": torch.stack([one["pixel_values"] for one in examples]).to(self.dtype),
        }
        if self.side == "right":
            padded["labels"] = pad_sequence([one["labels"] for one in examples], True, -100)
        return padded


class Clock(TrainerCallback):  # type: ignore[misc]
    """Notes when each step was done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())


def freeze(model: Any, stage: str, precision: str) -> None:
    """LLaVA's two stages: the projector; the projector and the language model. The tower never learns."""
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    if stage == "instruct":
        model.model.language_model.requires_grad_(True)
        model.lm_head.requires_grad_(True)
        if precision == "mixed":
            model.model.language_model.float()
            model.lm_head.float()
            model.tie_weights()


def train(
    model: Any, examples: Sequence[Example], stage: str, precision: str, batch_size: int, rate: float, folder: Path
) -> tuple[float, list[float], list[float]]:
    """Run the Trainer over the examples in their order; returns when it began, when each step ended, and each loss."""
    freeze(model, stage, precision)
    model.config.use_cache = False
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch_size,
        num_train_epochs=1,  # the examples are those of all epochs, in the order in which the other side meets them
        train_sampling_strategy="sequential",
        learning_rate=rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=precision == "mixed",
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    clock = Clock()
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    pad = model.generation_config.pad_token_id
    trainer = Trainer(
        model, arguments, train_dataset=list(examples), data_collator=Collator(pad, dtype), callbacks=[clock]
    )
    began = time.perf_counter()
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return began, clock.times, losses

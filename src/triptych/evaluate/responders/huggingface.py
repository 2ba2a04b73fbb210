"""Any image-text-to-text checkpoint of transformers, from the hub or a folder, as a responder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from triptych.conversation import Conversation
from triptych.errors import GenerationError, WeightsError
from triptych.generate.config import GenerationSettings, Reply


class HuggingFaceResponder:
    """A checkpoint that `AutoModelForImageTextToText` and `AutoProcessor` load, with its own chat template.

    Args:
        name: Of the hub, or a folder.

    Raises:
        WeightsError: It cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.processor: Any = AutoProcessor.from_pretrained(name)
            self.model: Any = AutoModelForImageTextToText.from_pretrained(name, dtype="auto").eval().to(device)
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise WeightsError(
                f"hf:{name}: no image-text-to-text checkpoint that transformers loads ({error}); expected a name of the hub "
                "(with access to it) or a folder with config.json, weights, tokenizer and processor"
            ) from error
        self.processor.tokenizer.padding_side = "left"
        if self.processor.tokenizer.pad_token is None:
            self.processor.tokenizer.pad_token = self.processor.tokenizer.eos_token
        self.fingerprint = _fingerprint(name, self.model)

    @torch.inference_mode()
    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        """One reply per conversation, prompts of like length together.

        Raises:
            GenerationError: The processor does not take the prompt.
            DataError: A picture cannot be read.
        """
        prompts = [self._prompt(conversation) for conversation in conversations]
        order = sorted(range(len(prompts)), key=lambda i: (bool(list(conversations[i].media)), len(prompts[i])))
        replies: dict[int, Reply] = {}
        start = 0
        while start < len(order):
            # Processors want a picture for each prompt of a batch, or for none.
            seen = bool(list(conversations[order[start]].media))
            chosen = [
                i for i in order[start : start + settings.batch_size] if bool(list(conversations[i].media)) == seen
            ]
            start += len(chosen)
            pictures = [[medium.open() for medium in conversations[i].media] for i in chosen]
            answers = self._answers([prompts[i] for i in chosen], pictures if seen else None, settings)
            replies |= dict(zip(chosen, answers, strict=True))
        return [replies[i] for i in range(len(conversations))]

    def _answers(self, prompts: list[str], pictures: Any, settings: GenerationSettings) -> list[Reply]:
        try:
            inputs = self.processor(text=prompts, images=pictures, return_tensors="pt", padding=True)
        except (ValueError, TypeError, IndexError) as error:
            raise GenerationError(f"the checkpoint's processor does not take the prompt: {error}") from error
        inputs = inputs.to(self.model.device)
        for name, value in inputs.items():
            if torch.is_tensor(value) and value.is_floating_point():
                inputs[name] = value.to(self.model.dtype)
        sampling: dict[str, Any] = {"do_sample": settings.temperature > 0}
        if settings.temperature > 0:
            torch.manual_seed(settings.seed)
            sampling |= {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": settings.top_k}
        out = self.model.generate(**inputs, max_new_tokens=settings.max_new_tokens, **sampling)
        new = out[:, inputs["input_ids"].shape[1] :]
        ends = self._ends
        replies = []
        for row in new.tolist():
            stop = next((place for place, token in enumerate(row) if token in ends), None)
            said = row if stop is None else row[:stop]
            text = self.processor.tokenizer.decode(said, skip_special_tokens=True)
            replies.append(Reply(text.strip(), len(said) + (stop is not None), "length" if stop is None else "stop"))
        return replies

    @property
    def _ends(self) -> set[int]:
        ends = self.model.generation_config.eos_token_id
        found = set(ends) if isinstance(ends, list) else {ends}
        return {int(token) for token in (*found, self.processor.tokenizer.eos_token_id) if token is not None}

    def _prompt(self, conversation: Conversation) -> str:
        messages = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                    for part in message.parts
                ],
            }
            for message in conversation.messages
        ]
        if getattr(self.processor, "chat_template", None) or self.processor.tokenizer.chat_template:
            return str(self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        # A base model: pictures first, then the text, as its processor expects them.
        image = getattr(self.processor, "image_token", "")
        return "\n".join(
            "".join(part if isinstance(part, str) else f"{image}\n" for part in message.parts)
            for message in conversation.messages
        )


def _fingerprint(name: str, model: Any) -> str:
    folder = Path(name)
    if folder.is_dir():
        parts = [f"{file.name} {file.stat().st_size}" for file in sorted(folder.iterdir()) if file.is_file()]
        parts.append((folder / "config.json").read_text("utf-8"))
        state = next(iter(model.parameters()))
        parts.append(str(state.float().sum().item()))
    else:
        parts = [name, str(getattr(model.config, "_commit_hash", ""))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

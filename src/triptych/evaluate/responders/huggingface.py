"""Any image-text-to-text checkpoint of transformers, from the hub or a folder, as a responder.

conversations ──► prompts (`hf_prompts`) ──► processor ──► `generate` ──► new tokens ──► replies
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.conversation import Conversation
from triptych.environment import torchvision_problem
from triptych.errors import GenerationError, WeightsError
from triptych.evaluate.responders.hf_prompts import PROCESSOR_ERRORS, Prompt, Prompts, one_line
from triptych.generate.config import GenerationSettings, Reply
from triptych.weights import fetch
from triptych.weights.pretrained import load_pretrained, load_processor

_TOLERANCE = {torch.float32: 1e-3}
"""Logits of a prompt in a batch may differ from those alone by this share of their standard deviation."""
_TOLERANCE_OF_HALF = 0.1


class HuggingFaceResponder:
    """A checkpoint that `AutoModelForImageTextToText` and `AutoProcessor` load, with its own chat template.

    Args:
        name: Of the hub, or a folder.

    Raises:
        WeightsError: It cannot be loaded, or its processor reads no pictures.
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            folder = Path(name) if Path(name).is_dir() else fetch(f"hf:{name}")
            self.processor: Any = load_processor(AutoProcessor, folder, f"hf:{name}")
            model = load_pretrained(AutoModelForImageTextToText, folder, f"hf:{name}", dtype="auto")
        except WeightsError as error:
            raise WeightsError(_not_loaded(name, error)) from error
        self.model: Any = model.eval().to(device)
        if getattr(self.processor, "tokenizer", None) is None or not hasattr(self.processor, "image_processor"):
            raise WeightsError(
                f"hf:{name}: transformers loads {type(self.processor).__name__} for it, which does not read pictures and text; "
                "expected a folder or repository with a processor beside the tokenizer (processor_config.json)"
            )
        self.tokenizer: Any = self.processor.tokenizer
        self.encoder_decoder = _is_encoder_decoder(self.model.config)
        # An answer follows its prompt; where an encoder reads the prompt, padding must not shift absolute positions.
        self.tokenizer.padding_side = "right" if self.encoder_decoder else "left"
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.prompts = Prompts(self.processor)
        self.fingerprint = _fingerprint(name, self.model)
        self.reads_batches: dict[bool, bool] = {}
        """For prompts with and without pictures: whether a batch gives each its own logits; filled when first asked."""

    @torch.inference_mode()
    def respond(self, conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Reply]:
        """One reply per conversation, prompts of like length together.

        Raises:
            GenerationError: The processor or the model does not take the prompt.
            DataError: A picture cannot be read.
        """
        prompts = [self.prompts.write(conversation) for conversation in conversations]
        shown = [bool(list(conversation.media)) for conversation in conversations]
        replies: dict[int, Reply] = {}
        for seen in (False, True):  # processors want a picture for each prompt of a batch, or for none
            order = sorted((i for i in range(len(prompts)) if shown[i] == seen), key=lambda i: len(prompts[i].text))
            if not order:
                continue
            size = settings.batch_size
            if min(size, len(order)) > 1:
                ends = [order[0], order[-1]]
                pictures = [_pictures(conversations[i]) for i in ends]
                if not self._reads_batches(seen, [prompts[i] for i in ends], pictures):
                    size = 1
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                pictures = [_pictures(conversations[i]) for i in chosen]
                answers = self._answers([prompts[i] for i in chosen], pictures, settings)
                replies |= dict(zip(chosen, answers, strict=True))
        return [replies[i] for i in range(len(conversations))]

    def _reads_batches(self, seen: bool, prompts: list[Prompt], pictures: list[list[Any]]) -> bool:
        """Whether a batch of the shortest and the longest prompt gives the logits that each gives alone.

        Some classes derive positions or masks from the width of the batch, and some processors take one prompt at a
        time: those are asked one by one. Looked at once for prompts with pictures and once for prompts without.
        """
        if seen not in self.reads_batches:
            try:
                together = self._first_logits(prompts, pictures)
            except GenerationError:
                self.reads_batches[seen] = False
                return False
            alone = [self._first_logits([p], [shown])[0] for p, shown in zip(prompts, pictures, strict=True)]
            limit = _TOLERANCE.get(self.model.dtype, _TOLERANCE_OF_HALF)
            self.reads_batches[seen] = all(_agree(a, b, limit) for a, b in zip(together, alone, strict=True))
        return self.reads_batches[seen]

    def _first_logits(self, prompts: list[Prompt], pictures: list[list[Any]], steps: int = 3) -> list[Tensor]:
        """Logits `[steps, V]` of the first tokens of each reply, greedy, in float32."""
        out = self._generate(
            self._inputs(prompts, pictures),
            pictures,
            max_new_tokens=steps,
            min_new_tokens=steps,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        return list(torch.stack(out.logits, dim=1).float())

    def _answers(self, prompts: list[Prompt], pictures: list[list[Any]], settings: GenerationSettings) -> list[Reply]:
        inputs = self._inputs(prompts, pictures)
        sampling: dict[str, Any] = {"do_sample": settings.temperature > 0}
        if settings.temperature > 0:
            torch.manual_seed(settings.seed)
            sampling |= {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": settings.top_k}
        new = self._new_tokens(
            self._generate(inputs, pictures, max_new_tokens=settings.max_new_tokens, **sampling), inputs
        )
        ends = self._ends
        replies = []
        for row in new.tolist():
            stop = next((place for place, token in enumerate(row) if token in ends), None)
            said = row if stop is None else row[:stop]
            text = self.tokenizer.decode(said, skip_special_tokens=True)
            replies.append(Reply(text.strip(), len(said) + (stop is not None), "length" if stop is None else "stop"))
        return replies

    def _inputs(self, prompts: list[Prompt], pictures: list[list[Any]]) -> Any:
        try:
            inputs = self.prompts.encode(prompts, pictures if any(pictures) else None)
            return inputs.to(self.model.device, self.model.dtype)  # casts what is floating
        except PROCESSOR_ERRORS as error:
            raise GenerationError(
                f"the checkpoint's processor does not take the prompt ({one_line(error)}){_hint(pictures)}"
            ) from error

    def _generate(self, inputs: Any, pictures: list[list[Any]], **settings: Any) -> Any:
        try:
            return self.model.generate(**inputs, **settings)
        except (*PROCESSOR_ERRORS, NotImplementedError) as error:
            raise GenerationError(
                f"the checkpoint does not answer what its processor made of the prompt ({one_line(error)}){_hint(pictures)}"
            ) from error

    def _new_tokens(self, out: Tensor, inputs: Any) -> Tensor:
        """The tokens after the prompt `[B, N]`: classes differ in whether `generate` returns the prompt before them."""
        if self.encoder_decoder:
            return out[:, 1:]  # after the token that starts the decoder
        prompt = inputs.get("input_ids")
        length = 0 if prompt is None else prompt.shape[1]
        if length and out.shape[1] >= length and bool((out[:, :length] == prompt).all()):
            return out[:, length:]
        # BLIP writes another first token and leaves the closing one out, which would end the answer before it began.
        if length > 2 and out.shape[1] >= length - 1 and bool((out[:, 1 : length - 1] == prompt[:, 1:-1]).all()):
            return out[:, length - 1 :]
        return out

    @property
    def _ends(self) -> set[int]:
        ends = self.model.generation_config.eos_token_id
        listed = set(ends) if isinstance(ends, list) else {ends}
        return {int(token) for token in (*listed, self.tokenizer.eos_token_id) if token is not None}


def _pictures(conversation: Conversation) -> list[Any]:
    """Raises GenerationError where a medium is no picture."""
    for medium in conversation.media:
        if medium.modality != "image":
            raise GenerationError(
                f"{medium}: a checkpoint of transformers is shown pictures, not media of the modality {medium.modality!r}"
            )
    return [image.open() for image in conversation.images]


def _agree(one: Tensor, other: Tensor, limit: float) -> bool:
    """Whether two replies' logits `[steps, V]` agree up to and with the first step at which they choose apart."""
    known = torch.isfinite(one) & torch.isfinite(other)
    scale = one[known].std()
    for a, b, both in zip(one, other, known, strict=True):
        if bool((a[both] - b[both]).abs().max() > limit * scale):
            return False
        if a.argmax() != b.argmax():
            return True  # a tie within the limit: what follows is another reply
    return True


def _hint(pictures: list[list[Any]]) -> str:
    """What to try, by what was shown."""
    if not all(pictures):
        return "; it may want a picture with every question"
    return "; it may take one picture alone" if any(len(shown) > 1 for shown in pictures) else ""


def _is_encoder_decoder(config: Any) -> bool:
    return any(bool(getattr(part, "is_encoder_decoder", False)) for part in (config, config.get_text_config()))


def _not_loaded(name: str, error: WeightsError) -> str:
    """The loader's answer, or what is missing on this machine where that is the reason."""
    needed = isinstance(error.__cause__, ImportError) or "orchvision" in str(error)
    problem = torchvision_problem() if needed else None
    if problem is not None:
        return f"hf:{name}: its processor needs torchvision, which {problem.detail}; {problem.advice}"
    return (
        f"hf:{name}: no image-text-to-text checkpoint that transformers loads; expected a name of the hub (with access to it) "
        f"or a folder with config.json, weights, tokenizer and processor: {str(error).removeprefix(f'hf:{name}: ')}"
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

"""Chat templates by name: what a recipe's `chat_template` may say instead of Jinja source.

Inside a template a message has, beside `role` and `content`, two halves of its content: `media` (its pictures) and `text`
(its words), and `pictures`, their number. A template that writes only `media` leaves the words out on purpose. `{{ stop }}`
behind an answer marks the end of what training predicts and where generation stops; without it that is the first special
token behind the answer.
"""

from __future__ import annotations

import difflib

_TURNS = "{{{{ bos_token }}}}{{% for m in messages %}}{}{{% endfor %}}{}"


def _dialogue(system: str, user: str, assistant: str, reply: str) -> str:
    """A template out of what stands around each role's message, and in front of an answer to come."""
    turns = f"{{% if m['role'] == 'system' %}}{system}{{% elif m['role'] == 'user' %}}{user}{{% else %}}{assistant}{{% endif %}}"
    return _TURNS.format(turns, f"{{% if add_generation_prompt %}}{reply}{{% endif %}}")


_CONTENT, _MEDIA, _TEXT = "{{ m['content'] }}", "{{ m['media'] }}", "{{ m['text'] }}"
_EOS, _LINE = "{{ eos_token }}", "{{ '\\n' }}"


def _before(picture: str) -> str:
    """Something in front of the words where there is a picture."""
    return f"{{% if m['pictures'] %}}{picture}{{% endif %}}{_TEXT}"


PLAIN = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] | capitalize }}: {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)
"""For language models that come without a template."""

_CAPTIONS = _dialogue(_MEDIA, _MEDIA, f"{_CONTENT}{_LINE}{{{{ stop }}}}", "")

_ALPACA_INTRODUCTION = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
)

_ALPACA = (
    "{{ bos_token }}{% if messages[0]['role'] != 'system' %}" + _ALPACA_INTRODUCTION + "{{ '\\n\\n' }}{% endif %}"
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}{{ '\\n\\n' }}"
    "{% elif m['role'] == 'user' %}### Instruction:{{ '\\n' }}{{ m['content'] }}{{ '\\n\\n' }}"
    "{% else %}### Response:{{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}### Response:{% endif %}"
)

TEMPLATES: dict[str, str] = {
    # User: question⏎Assistant: answer</s>⏎
    "plain": PLAIN,
    # The assistant's words alone: pretraining on text.
    "text": _dialogue(_CONTENT, _CONTENT, f"{_CONTENT}{_EOS}", ""),
    # One line a turn, for answers of a few words by models whose end of turn is `<|im_end|>` (SmolLM2, Qwen).
    "lines": "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}",
    # Picture and caption, the question left out, the end a line break: LLaVA's `plain` (`preprocess_plain`).
    "llava-plain": _CAPTIONS,
    # MiniGPT-4's first stage is written alike: picture, caption, line break, no prompt.
    "minigpt4-captions": _CAPTIONS,
    # SYSTEM USER: question ASSISTANT: answer</s>USER: … ASSISTANT: …
    "vicuna": _dialogue(f"{_CONTENT} ", f"USER: {_CONTENT} ", f"ASSISTANT: {_CONTENT}{_EOS}", "ASSISTANT: "),
    # Vicuna's, each picture in front of its question on a line of its own.
    "llava-v1": _dialogue(
        f"{_CONTENT} ", f"USER: {_before(_MEDIA + _LINE)} ", f"ASSISTANT: {_CONTENT}{_EOS}", "ASSISTANT: "
    ),
    # ###Human: <Img>picture</Img> question ###Assistant: answer###Human: …
    "minigpt4": _dialogue(
        _CONTENT,
        "{% if loop.first or loop.previtem['role'] != 'assistant' %}###{% endif %}"
        f"Human: {_before(f'<Img>{_MEDIA}</Img> ')} ",
        f"###Assistant: {_CONTENT}###{{{{ stop }}}}",
        "###Assistant: ",
    ),
    # [INST] <Img>picture</Img> question [/INST] answer</s>
    "minigpt4-v2": _dialogue(
        f"{_CONTENT} ", f"[INST] {_before(f'<Img>{_MEDIA}</Img> ')} [/INST] ", f"{_CONTENT}{_EOS}", ""
    ),
    # Stanford Alpaca's, also LLaMA-Adapter's.
    "alpaca": _ALPACA,
    # OpenFlamingo's: <image>Question:… Short answer:…<|endofchunk|>, the chunk's end being the end of text.
    "flamingo": _dialogue(_CONTENT, f"{_MEDIA}Question:{_TEXT} ", f"Short answer:{_CONTENT}{_EOS}", "Short answer:"),
    # OpenFlamingo's for captions: <image>Output:caption<|endofchunk|>; the question is left out.
    "flamingo-captions": _dialogue(_MEDIA, _MEDIA, f"Output:{_CONTENT}{_EOS}", "Output:"),
    # InstructBLIP's: picture, question, answer, nothing between them but a space.
    "instructblip": _dialogue(f"{_CONTENT} ", f"{_MEDIA}{_TEXT} ", f"{_CONTENT}{_EOS}", ""),
    # Kosmos-2's: a picture between its own tokens, and plain text behind it.
    "kosmos-2": _dialogue(_CONTENT, _before(f"<image>{_MEDIA}</image>"), f"{_CONTENT}{_EOS}", ""),
}
"""Name → Jinja source."""


def resolve(template: str | None) -> str | None:
    """The Jinja source behind a recipe's `chat_template`: a name, or source itself, which has a `{` in it.

    Raises:
        ValueError: There is no template of that name; the message has the nearest one and all names.
    """
    if template is None or "{" in template:
        return template
    if template not in TEMPLATES:
        near = difflib.get_close_matches(template, TEMPLATES, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"chat_template {template!r} is not known{hint} (known: {', '.join(TEMPLATES)}; "
            "or the Jinja source of a template of your own)"
        )
    return TEMPLATES[template]

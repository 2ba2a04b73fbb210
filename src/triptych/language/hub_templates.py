"""Chat templates of Triptych as transformers calls them.

Ours read a message's `content`, `media`, `text` and `pictures`; transformers hands over a string or a list of parts
(`{"type": "image"}`, `{"type": "text", "text": …}`). What is put in front makes the first out of the second.
"""

from __future__ import annotations

import json

_OPEN = (
    "{%- set said = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- set all = namespace(content='', media='', text='', pictures=0) -%}"
    "{%- if message['content'] is string -%}"
    "{%- set all.content = message['content'] -%}{%- set all.text = message['content'] -%}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}"
    "{%- set all.content = all.content + IMAGE -%}{%- set all.media = all.media + IMAGE -%}"
    "{%- set all.pictures = all.pictures + 1 -%}"
    "{%- else -%}"
    "{%- set all.content = all.content + part['text'] -%}{%- set all.text = all.text + part['text'] -%}"
    "{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{%- set said.messages = said.messages + [{'role': message['role'], 'content': all.content, 'media': all.media, "
    "'text': all.text, 'pictures': all.pictures}] -%}"
    "{%- endfor -%}"
)
_SYSTEM = (
    "{%- if not said.messages or said.messages[0]['role'] != 'system' -%}"
    "{%- set said.messages = [{'role': 'system', 'content': SYSTEM, 'media': '', 'text': SYSTEM, 'pictures': 0}] "
    "+ said.messages -%}{%- endif -%}"
)
_CLOSE = "{%- set messages = said.messages %}"


def for_transformers(template: str, system: str | None, image_token: str) -> str:
    """Jinja source that writes what Triptych writes, from messages as transformers has them.

    Args:
        template: Ours.
        system: The system prompt of conversations that have none.
        image_token: Stands where pictures do.
    """
    open_ = _OPEN.replace("IMAGE", _quoted(image_token))
    begin = "" if system is None else _SYSTEM.replace("SYSTEM", _quoted(system))
    return open_ + begin + _CLOSE + template


def _quoted(text: str) -> str:
    """A text as a literal of Jinja, which reads those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def from_transformers(template: str) -> tuple[str, str | None] | None:
    """What `for_transformers` made this source of: the template and the system prompt; None where it is not its work."""
    open_, close, inner = template.partition(_CLOSE)
    if not close or not open_.startswith("{%- set said = namespace(messages=[]) -%}"):
        return None
    _, found, rest = open_.partition(_SYSTEM.partition("SYSTEM")[0])
    return inner, (json.JSONDecoder().raw_decode(rest)[0] if found else None)

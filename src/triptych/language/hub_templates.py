"""Chat templates of Triptych as transformers calls them, and the other way round.

Ours read a message's `content`, `media`, `text`, `pictures` and `parts`; transformers hands over a string or a list of parts
(`{"type": "image"}`, `{"type": "text", "text": …}`). What is put in front makes the first out of the second, or the second out
of the first.
"""

from __future__ import annotations

import json

_OPEN = (
    "{%- set said = namespace(messages=[]) -%}"
    "{%- set picture = IMAGE -%}"
    "{%- for message in messages -%}"
    "{%- set all = namespace(content='', media='', text='', pictures=0, parts=[]) -%}"
    "{%- if message['content'] is string -%}"
    "{%- set all.content = message['content'] -%}{%- set all.text = message['content'] -%}"
    "{%- if message['content'] -%}{%- set all.parts = [{'type': 'text', 'text': message['content']}] -%}{%- endif -%}"
    "{%- else -%}{%- set all.parts = message['content'] -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}"
    "{%- set all.content = all.content + picture -%}{%- set all.media = all.media + picture -%}"
    "{%- set all.pictures = all.pictures + 1 -%}"
    "{%- else -%}"
    "{%- set all.content = all.content + part['text'] -%}{%- set all.text = all.text + part['text'] -%}"
    "{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{%- set said.messages = said.messages + [{'role': message['role'], 'content': all.content, 'media': all.media, "
    "'text': all.text, 'pictures': all.pictures, 'parts': all.parts}] -%}"
    "{%- endfor -%}"
)
_SYSTEM = (
    "{%- if not said.messages or said.messages[0]['role'] != 'system' -%}"
    "{%- set said.messages = [{'role': 'system', 'content': SYSTEM, 'media': '', 'text': SYSTEM, 'pictures': 0, "
    "'parts': [{'type': 'text', 'text': SYSTEM}] if SYSTEM else []}] + said.messages -%}{%- endif -%}"
)
_CLOSE = "{%- set messages = said.messages %}"
_CAPTURE = "{%- set written %}"
_UNSPACED = "{% endset %}{{ written.rstrip(' ') if add_generation_prompt else written }}"

_PARTS = (
    "{%- set given = namespace(messages=[]) -%}{%- for message in messages -%}"
    "{%- set given.messages = given.messages + [{'role': message['role'], 'content': message['parts']}] -%}"
    "{%- endfor -%}{%- set messages = given.messages -%}"
    "{%- set written %}"
)
_PICTURES = "{% endset %}{{ written | replace(IMAGE, picture) }}"


def for_transformers(template: str, system: str | None, image_token: str, drops_spaces: bool = False) -> str:
    """Jinja source that writes what Triptych writes, from messages as transformers has them.

    Args:
        template: Ours.
        system: The system prompt of conversations that have none.
        image_token: Stands where pictures do.
        drops_spaces: Whether prompts end without the spaces that the template puts there.
    """
    open_ = _OPEN.replace("IMAGE", _quoted(image_token))
    begin = "" if system is None else _SYSTEM.replace("SYSTEM", _quoted(system))
    if drops_spaces:
        # Jinja drops a line break at the end of a source, and there the template ends no longer.
        return open_ + begin + _CLOSE + _CAPTURE + template.removesuffix("\n") + _UNSPACED
    return open_ + begin + _CLOSE + template


def of_parts(template: str, image_token: str) -> str:
    """Ours, out of a template that takes the parts of messages and writes `image_token` where pictures stand."""
    return _PARTS + template.removesuffix("\n") + _PICTURES.replace("IMAGE", _quoted(image_token))


def _quoted(text: str) -> str:
    """A text as a literal of Jinja, which reads those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def from_transformers(template: str) -> tuple[str, str | None] | None:
    """What `for_transformers` made this source of: the template and the system prompt; None where it is not its work."""
    open_, close, inner = template.partition(_CLOSE)
    if not close or not open_.startswith("{%- set said = namespace(messages=[]) -%}"):
        return None
    if inner.startswith(_CAPTURE) and inner.endswith(_UNSPACED):
        inner = inner.removeprefix(_CAPTURE).removesuffix(_UNSPACED)
    _, marked, rest = open_.partition(_SYSTEM.partition("SYSTEM")[0])
    return inner, (json.JSONDecoder().raw_decode(rest)[0] if marked else None)

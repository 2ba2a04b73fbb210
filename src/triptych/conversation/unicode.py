"""Text that tokenizers and files can take: valid Unicode, refused by place where it is not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from triptych.errors import DataError

_SURROGATE = re.compile("[\ud800-\udfff]")


def check_unicode(text: str, what: str = "text") -> None:
    """Refuse a text with a lone surrogate: half of a character beyond U+FFFF, which JSON can spell and UTF-8 cannot.

    Args:
        text: What came in.
        what: What messages call it.

    Raises:
        DataError: With the place of the first one, counted from 1.
    """
    if text.isascii():
        return
    if match := _SURROGATE.search(text):
        raise DataError(
            f"{what}: no valid Unicode, character {match.start() + 1:,} is half of a pair (\\u{ord(match[0]):04x})"
        )


def check_unicode_in(value: Any, what: str = "") -> None:
    """The same for every text in a JSON value, keys included; `what` names the way to it.

    Raises:
        DataError: As `check_unicode`.
    """
    if isinstance(value, str):
        check_unicode(value, what or "text")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            check_unicode(str(key), f"a key of {what or 'the record'}")
            check_unicode_in(part, f"{what}.{key}" if what else str(key))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            check_unicode_in(part, f"{what}[{number}]")

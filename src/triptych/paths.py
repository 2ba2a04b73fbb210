"""Paths as people write them: in recipes, task files, studies, and on the command line."""

from __future__ import annotations

import os
from pathlib import Path

from triptych.errors import RecipeError, TriptychError, quoted


def user_path(text: str | Path, base: str | Path = "", error: type[TriptychError] = RecipeError) -> Path:
    """A path with `~` and `~user` taken for home folders; a relative one starts at `base`.

    Args:
        text: The path.
        base: The folder that a relative path starts from; the current one by default.
        error: What is raised.

    Raises:
        TriptychError: `error`, because no file system could have such a path, or there is no such user.
    """
    try:
        length = max(map(len, os.fsencode(text).split(b"/")))
        path = Path(base, Path(text).expanduser())
    except UnicodeEncodeError:
        raise error(f"path {quoted(str(text))}: holds text that is no Unicode") from None
    except RuntimeError:
        raise error(f"path {quoted(str(text))}: there is no user {str(text).split('/')[0][1:]!r}") from None
    if "\0" in str(path):
        raise error(f"path {quoted(str(text))}: holds a NUL character")
    if length > 255 or len(os.fsencode(path)) > 4095:
        raise error(f"path {quoted(str(text))}: is too long ({len(str(path))} characters)")
    return path


def exists(path: Path) -> bool:
    """Whether something is there, as far as the system lets it be seen."""
    try:
        return path.exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there; False for names that no file system could have."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def resolved(path: Path, error: type[TriptychError] = RecipeError) -> Path:
    """The absolute path without links.

    Raises:
        TriptychError: `error`, because its links lead in a circle, or a folder on its way cannot be entered.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as problem:
        raise error(f"path {quoted(str(path))}: cannot be followed ({problem})") from None

"""The recipes and studies that come with Triptych, by name.

    presets/NAME.yaml           published systems, and each in miniature
    recipes/NAME.yaml           worked recipes to start from
    recipes/studies/NAME.yaml   experiments

A wheel has all of them in this package. In a clone `recipes/` is the folder at its top, where people look for it; the wheel
is built from that folder, so there is one copy.

Relative paths of a file start at its own folder, but the folder of a package is no place for data and runs. By name, those of
a preset start at the current folder (or that of the file that extends it), and those of a recipe as if it were in `recipes/`
there, as it is in a clone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from triptych.errors import RecipeError, quoted
from triptych.paths import exists

PRESETS = Path(__file__).parent / "presets"
_IN_WHEEL = Path(__file__).parent / "recipes"
RECIPES = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parents[3] / "recipes"
"""The folder of recipes: of the wheel, or of the clone."""

Kind: TypeAlias = Literal["recipe", "preset", "study"]

_CITATION = re.compile(r" \([^()]*https?://[^()]*\)")
_SENTENCE = re.compile(r"\.(?=\s+[^a-z0-9]|$)")


@dataclass(frozen=True)
class Included:
    """A recipe or study that comes with Triptych.

    Args:
        name: What it is loaded by.
        kind: Which of the folders it is from.
        path: The file.
        folder: Where its relative paths start, itself relative to the current folder.
    """

    name: str
    kind: Kind
    path: Path
    folder: Path

    @property
    def summary(self) -> str:
        """The first sentence of the comment that the file begins with, without citations."""
        lines = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            if not line.strip("# ") or not line.startswith("#"):
                break
            lines.append(line.strip("# "))
        text = _CITATION.sub("", " ".join(lines))
        return _SENTENCE.split(text)[0].rstrip(":")


_FOLDERS: dict[Kind, tuple[Path, Path]] = {
    "recipe": (RECIPES, Path("recipes")),
    "preset": (PRESETS, Path()),
    "study": (RECIPES / "studies", Path("recipes/studies")),
}


def included(*kinds: Kind) -> dict[str, Included]:
    """What comes with Triptych, by name; of these kinds, or of all."""
    return {
        path.stem: Included(path.stem, kind, path, start)
        for kind, (folder, start) in _FOLDERS.items()
        if not kinds or kind in kinds
        for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    }


def preset_names() -> list[str]:
    """The names of all presets."""
    return sorted(included("preset"))


def preset_path(name: str) -> Path:
    """Where a preset is.

    Raises:
        RecipeError: There is none of that name; the message has the nearest one.
    """
    return the(name, "preset").path


def the(name: str, *kinds: Kind) -> Included:
    """The one of that name.

    Raises:
        RecipeError: There is none among these kinds; the message has the nearest ones.
    """
    known = included(*kinds)
    if name not in known:
        raise RecipeError(f"{' or '.join(kinds)} {quoted(name)} is not known{nearest(name, *kinds)}")
    return known[name]


def named(path: Path, *kinds: Kind) -> Included | None:
    """The one that a path names, which has no file or folder of its own in the current folder."""
    return None if exists(path) else included(*kinds).get(str(path))


def nearest(name: str, *kinds: Kind, files: Iterable[str] = ()) -> str:
    """What to try instead of a name that is none of these kinds, nor one of some files; the end of a sentence."""
    stem = name.rsplit("/", 1)[-1].removesuffix(".yaml")
    other = included().get(stem)
    if other is not None and other.kind in kinds:
        return f"; the {other.kind} of that name comes with Triptych and is loaded as {stem!r}"
    if other is not None:
        return f"; {stem!r} is a {other.kind}: `triptych {'study' if other.kind == 'study' else 'train'} {stem}`"
    close: list[str] = []
    if len(name) < 200:  # it takes quadratic time
        for word, names in ((name, files), (stem, included(*kinds))):
            close += difflib.get_close_matches(word, names, n=3, cutoff=0.55)
    hint = f"; did you mean {' or '.join(map(repr, close[:3]))}?" if close else ";"
    return f"{hint} `triptych recipes` lists what comes with Triptych"

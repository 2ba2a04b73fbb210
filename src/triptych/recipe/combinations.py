"""Parts that do not go together, as far as numbers tell that are known without torch and without a download."""

from __future__ import annotations

from triptych.recipe.schema import Recipe


def mistakes(recipe: Recipe) -> list[str]:
    """One line per mistake: `field: what does not go together; what would`."""
    return [*recipe.model.mistakes(recipe)]

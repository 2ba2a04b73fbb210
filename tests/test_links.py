"""Every relative link and picture of the documentation leads somewhere, and every page that a recipe or the code names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
]
RECIPES = [*sorted((ROOT / "recipes").rglob("*.yaml")), *sorted((ROOT / "src/triptych/recipe/presets").glob("*.yaml"))]


def links(page: Path) -> list[Path]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    targets = re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    return [(page.parent / t.split("#")[0]).resolve() for t in targets if not re.match(r"[a-z]+:|#", t)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of(page: Path) -> None:
    absent = [str(target.relative_to(ROOT)) for target in links(page) if not target.exists()]
    assert absent == []


def test_pages_that_recipes_name() -> None:
    named = {
        name for recipe in RECIPES for name in re.findall(r"docs/[\w./-]+\.md", recipe.read_text(encoding="utf-8"))
    }
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []

"""Imports run downward only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "triptych"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "config"),
    ("console", "distributed", "duration", "environment", "files", "kernels", "paths", "registry", "yaml_nodes"),
    ("progress", "tables", "yaml_file"),
    ("conversation", "weights"),
    ("trusted", "formats"),
    ("grounding.transform", "grounding.grounding"),
    ("encoders", "adapters", "language", "scenes"),
    ("family",),
    ("fusion", "decoders"),
    ("grounding.determiners", "grounding.noun_phrases", "grounding.nouns"),
    (
        "grounding.calls",
        "grounding.expression_calls",
        "grounding.formats",
        "grounding.introduce",
        "grounding.select",
        "grounding.unfold",
    ),
    ("recipe",),
    ("sequence",),
    ("model",),
    ("data",),
    ("training", "generate"),
    ("capabilities",),
    ("api",),
    ("grounding",),
    ("evaluate",),
    ("report",),
    ("planner",),
    ("preview",),
    ("families",),
    ("interchange",),
    ("doctor", "study"),
    ("zoo",),
    ("cli",),
    ("__main__",),
)
"""From the ground up; what is on one floor does not know its neighbours. A module named with its package has a floor of
its own."""

CONFIGS = {"decoders", "grounding", "sequence", "data", "training", "evaluate", "generate"}
"""Floors above the recipe whose `config` modules it knows: these modules, and nothing else of them, lie below it."""


def floor(module: str) -> int:
    """The floor of a dotted module inside the package."""
    first, _, rest = module.partition(".")
    if rest == "config" and first in CONFIGS:
        return next(i for i, names in enumerate(FLOORS) if "fusion" in names)
    second = f"{first}.{rest.partition('.')[0]}"
    own = (i for i, names in enumerate(FLOORS) if second in names)
    return next(own, None) or next(i for i, names in enumerate(FLOORS) if first in names)


def imports(path: Path) -> list[tuple[int, str]]:
    """What a file imports from the package, wherever in the file, with line numbers."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "triptych":
            inside = node.module.removeprefix("triptych").removeprefix(".")
            found += [(node.lineno, inside or alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append((node.lineno, "RELATIVE"))
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "triptych"]
            found += [(node.lineno, name.removeprefix("triptych.")) for name in names]
    return found


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def test_every_module_has_a_floor() -> None:
    known = {name for names in FLOORS for name in names}
    assert {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in modules()} <= known


def test_imports_run_downward() -> None:
    wrong = []
    for path in modules():
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for line, imported in imports(path):
            where = f"{path.relative_to(SOURCE)}:{line} imports {imported}"
            if imported == "RELATIVE":
                wrong.append(f"{where}: say the whole path")
                continue
            if imported == "__version__" or imported[0].isupper() or imported in {"load", "train", "user"}:
                # the public names of `import triptych` itself: for those on top only
                if floor(name) < floor("cli"):
                    wrong.append(f"{where} from triptych: say where it lives")
                continue
            same = imported.split(".")[0] == name.split(".")[0]
            both_configs = imported.endswith(".config") and name.endswith(".config")
            if not same and floor(imported) >= floor(name) + both_configs:
                wrong.append(where)
    assert not wrong, "\n".join(wrong)


NAMES_FAMILIES = ("families/", "interchange/")
"""Folders whose files may name a family: its own, and what writes a kind of model in another project's format."""


def test_no_file_outside_a_family_names_it() -> None:
    wrong = []
    for path in modules():
        place = path.relative_to(SOURCE).as_posix()
        own = place.split("/")[1] if place.count("/") > 1 and place.startswith("families/") else None
        for line, imported in imports(path):
            parts = imported.split(".")
            named = (
                parts[1] if parts[0] == "families" and len(parts) > 1 and parts[1] not in {"family", "pairs"} else None
            )
            if named is not None and named != own and (own is not None or not place.startswith(NAMES_FAMILIES)):
                wrong.append(f"{place}:{line} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_the_checks_can_fail(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from triptych.training.loop import train\nimport triptych.cli\nfrom . import y\n")
    assert sorted(imports(file)) == [(2, "training.loop"), (3, "cli"), (4, "RELATIVE")]
    assert floor("training.loop") > floor("recipe.schema") > floor("training.config")


LIGHT = ["triptych", "triptych.cli", "triptych.recipe", "triptych.conversation", "triptych.generate.config"]
HEAVY = ["torch", "transformers", "numpy", "PIL", "matplotlib", "peft", "safetensors"]


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    code = f"""
import contextlib, io, sys
from triptych.cli import app
with contextlib.redirect_stdout(io.StringIO()) as text:
    app(["--help"], standalone_mode=False)
assert "leaderboard" in text.getvalue()
print([name for name in {[*HEAVY, "pydantic", "yaml"]} if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_had() -> None:
    import triptych

    assert all(getattr(triptych, name) is not None for name in triptych.__all__)
    assert set(triptych.__all__) <= set(dir(triptych))
    assert callable(triptych.train)
    with pytest.raises(AttributeError, match="no attribute 'adaptor'"):
        triptych.adaptor  # noqa: B018

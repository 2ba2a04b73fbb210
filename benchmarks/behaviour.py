"""What short trainings end in, to the last bit: taken before a large change of the code, and again after it.

python -m benchmarks behaviour                            every mini, the quickstart and the recipes of detectors
python -m benchmarks behaviour --variants clip-mini       some of them; the others' results stay

Each recipe is trained for two steps a stage by one process and by two, and answers a few questions of its own evaluation.
Hashes are of the tensors' names and bytes, and of the answers. They are compared with those of an earlier run in
`behaviour.json` where that is of the same processor and versions; what differs is named and ends the command with an error.
What a recipe starts from (`runs/clip-mini`, `runs/detector`) is trained in the same way first, where it is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT
from benchmarks.results import Settings, table, write
from triptych.environment import describe

RECIPES = ("recipes/quickstart.yaml", "recipes/detector.yaml", "recipes/clip-detector.yaml")
STARTS = {
    "recipes/clip-detector.yaml": ("clip-mini", "clip-mini"),
    "eva-clip-mini": ("clip-mini", "clip-mini"),
    "llava-plus-mini": ("recipes/detector.yaml", "detector"),
}
"""Recipe → the recipe and the name of the run that it starts from."""

STEPS, BATCH, QUESTIONS = 2, 4, 4
PROCESSES = (1, 2)


def run(settings: Settings) -> None:
    """Train, ask, hash and compare."""
    from triptych.zoo import SYSTEMS

    path = settings.folder / "behaviour.json"
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    comparable = {name: before.get(name) for name in ("hardware", "versions")} == {
        name: value for name, value in describe("cpu").items() if name in ("hardware", "versions")
    }
    hashes: dict[str, dict[str, str]] = dict(before.get("hashes", {})) if comparable else {}
    different: list[str] = []
    failed: list[str] = []
    for recipe in settings.variants or (*RECIPES, *(system.mini for system in SYSTEMS)):
        with tempfile.TemporaryDirectory(prefix="triptych-behaviour-") as folder:
            try:
                now = behaviour(recipe, Path(folder))
            except RuntimeError as error:  # most often a run is missing that the recipe starts from
                failed.append(recipe)
                settings.say(f"{recipe}: {error}")
                continue
        different += [f"{recipe}: {what}" for what, digest in hashes.get(recipe, {}).items() if now.get(what) != digest]
        settings.say(f"{recipe}: {now}")
        hashes[recipe] = now
        if not different:
            write("behaviour", {"hashes": dict(sorted(hashes.items()))}, page, settings)
    if different or failed:
        sys.exit(f"different from before: {'; '.join(different) or 'none'}; failed: {', '.join(failed) or 'none'}")


def behaviour(recipe: str, folder: Path) -> dict[str, str]:
    """Hashes of the weights that one process and two train, and of the answers of the first."""
    digests = {}
    start, name = STARTS.get(recipe, (None, ""))
    if start is not None and not (ROOT / "runs" / name).exists():
        triptych("train", start, *changes(start), "--output", str(ROOT / "runs" / name))
    for processes in PROCESSES:
        output = folder / str(processes)
        triptych("train", recipe, *changes(recipe), "--output", str(output), processes=processes)
        digests[f"weights, {processes} process{'es' if processes > 1 else ''}"] = weights(output)
    triptych("evaluate", str(folder / "1"), "--limit", str(QUESTIONS))
    digests["answers"] = answers(folder / "1")
    return digests


def changes(recipe: str) -> list[str]:
    """Overrides that make every stage short."""
    from triptych.recipe import load_recipe

    found = load_recipe(recipe)
    each = (f"steps={STEPS}", "epochs=null", f"batch_size={BATCH}", "warmup=0")
    pools = [f"evaluation.{name}.pool={BATCH}" for name, task in found.evaluation.items() if hasattr(task, "pool")]
    return [*(f"stages.{i}.{change}" for i in range(len(found.stages)) for change in each), *pools]


def triptych(*arguments: str, processes: int = 1) -> None:
    """Run a command line of Triptych in processes of one thread each.

    Raises:
        RuntimeError: It fails.
    """
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "triptych", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def weights(run_folder: Path) -> str:
    """Hash of the names, types, shapes and bytes of a run's trained tensors."""
    import torch
    from safetensors import safe_open

    digest = hashlib.sha256()
    for path in sorted((run_folder / "weights").glob("**/*.safetensors")):
        with safe_open(path, framework="pt") as tensors:
            for name in sorted(tensors.keys()):
                tensor = tensors.get_tensor(name)
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def answers(run_folder: Path) -> str:
    """Hash of the scores and answers of a run's evaluation, without what they took."""
    results = json.loads((run_folder / "results.json").read_text(encoding="utf-8"))
    told: list[dict[str, object]] = list(results["tasks"].values())
    for path in sorted((run_folder / "evaluation").glob("*.jsonl")):
        told += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    timeless = [{k: v for k, v in each.items() if k not in ("seconds", "questions_per_second")} for each in told]
    return hashlib.sha256(json.dumps(timeless, sort_keys=True).encode()).hexdigest()[:16]


def page(values: dict[str, Any]) -> str:
    """A line per recipe."""
    hashes = values["hashes"]
    columns = list(dict.fromkeys(column for row in hashes.values() for column in row))
    rows = [[name, *(f"`{row.get(column, '–')}`" for column in columns)] for name, row in hashes.items()]
    return "\n".join(
        [
            "# Short trainings, to the last bit",
            "",
            f"{STEPS} steps a stage of {BATCH} records, then {QUESTIONS} questions of each task: hashes of trained weights and answers.",
            "",
            table(["recipe", *columns], rows),
        ]
    )

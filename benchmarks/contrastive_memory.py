"""Peak memory and gradient of the contrastive loss at a large batch, whole and in chunks, each in a process of its own.

    python -m benchmarks.contrastive_memory [--batch 4096] [--chunk 128] [--write]

The peak is that of the resident set above what the process took before the step.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

SHAPE = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 3, "heads": 2}
TEXT = {"max_tokens": 16, "width": 64, "layers": 2, "heads": 2, "vocabulary": 256}


def measure(batch: int, chunk: int | None, file: Path) -> dict[str, float]:
    """One forward and backward pass; the gradient goes into `file`."""
    import torch
    from safetensors.torch import save_file

    from triptych.encoders.architecture import TextArchitecture, VisionArchitecture
    from triptych.encoders.preparation import ImagePreparation
    from triptych.encoders.text_transformer import TextTower
    from triptych.encoders.vit import VisionTower
    from triptych.families.dual.config import Contrastive
    from triptych.families.dual.model import DualEncoder
    from triptych.families.dual.paired import ContrastiveObjective
    from triptych.sequence.pack import Document
    from triptych.sequence.pairs import PairBatch, Words

    torch.manual_seed(0)
    vision, text = VisionTower(VisionArchitecture(**SHAPE), 64), TextTower(TextArchitecture(**TEXT), 64)
    model = DualEncoder(vision, text, Words(None, 16), ImagePreparation(32)).train()
    pairs = PairBatch(
        pixels=torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8),
        ids=torch.randint(0, 256, (batch, 16)),
        lengths=torch.full((batch,), 16),
        media=(),
        texts=(),
        conversations=tuple(Document(i, str(i), {}, (i,)) for i in range(batch)),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loss = ContrastiveObjective(Contrastive(chunk=chunk))(model, pairs)
    (loss.total / loss.count).backward()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    save_file({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, file)
    return {"loss": loss.total.item() / loss.count, "peak_mib": peak / 1024}


def main() -> None:
    """Run both, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--chunk", type=int, default=128)
    parser.add_argument("--measure", nargs=2, metavar=("CHUNK", "FILE"))
    parser.add_argument("--write", action="store_true", help="write results/contrastive_memory.md and .json")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.batch, int(given.measure[0]) or None, Path(given.measure[1]))))
        return
    from safetensors.torch import load_file

    from triptych.environment import describe

    with tempfile.TemporaryDirectory() as folder:
        found, gradients = [], []
        for chunk in (0, given.chunk):
            file = f"{folder}/{chunk}.safetensors"
            command = [
                sys.executable,
                "-m",
                "benchmarks.contrastive_memory",
                "--batch",
                str(given.batch),
                "--measure",
                str(chunk),
                file,
            ]
            found.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
            gradients.append(load_file(file))
    apart = math.sqrt(sum(float((gradients[1][name] - g).double().square().sum()) for name, g in gradients[0].items()))
    size = math.sqrt(sum(float(g.double().square().sum()) for g in gradients[0].values()))
    print(f"batch {given.batch}: whole {found[0]}, chunks of {given.chunk} {found[1]}")
    largest = max(float((gradients[1][name] - g).abs().max()) for name, g in gradients[0].items())
    share = found[1]["peak_mib"] / found[0]["peak_mib"]
    print(f"memory: {share:.3f} of the whole; gradient apart by {apart / size:.1e} of its norm, {largest:.1e} at most")
    if not given.write:
        return
    result = {"batch": given.batch, "chunk": given.chunk, "whole": found[0], "chunks": found[1], "memory_share": share}
    result |= {
        "gradient_difference_of_norm": apart / size,
        "largest_gradient_difference": largest,
        "gradient_norm": size,
    }
    facts = describe()
    result |= {"hardware": facts["hardware"], "versions": facts["versions"], "date": facts["date"]}
    (RESULTS / "contrastive_memory.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "contrastive_memory.md").write_text(markdown(result))


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    whole, chunks = result["whole"], result["chunks"]
    return f"""# The contrastive loss at a large batch: memory and gradient

`python -m benchmarks.contrastive_memory --batch {result["batch"]} --chunk {result["chunk"]} --write` · \
{result["hardware"].get("cpu")}, {result["hardware"].get("cores")} cores · torch {result["versions"]["torch"]} · {result["date"]}

One forward and backward pass of CLIP's loss over {result["batch"]:,} pairs (towers of {SHAPE["layers"]} and {TEXT["layers"]} layers, \
{SHAPE["width"]} channels, float32), each in a process of its own: whole, and with `chunk: {result["chunk"]}`. The peak is that of the \
resident set above what the process took before the step.

| | peak memory | loss |
| --- | ---: | ---: |
| whole | {whole["peak_mib"]:,.0f} MiB | {whole["loss"]:.7f} |
| chunks of {result["chunk"]} | {chunks["peak_mib"]:,.0f} MiB (**{result["memory_share"]:.1%}**) | {chunks["loss"]:.7f} |

The gradients of all parameters together differ by **{result["gradient_difference_of_norm"]:.1e}** of their Euclidean norm \
({result["gradient_norm"]:.3g}), and by {result["largest_gradient_difference"]:.1e} in the entry that differs most.
"""


if __name__ == "__main__":
    main()

"""Peak memory and gradient of the contrastive loss at a large batch, whole and in chunks, each in a process of its own.

    python -m benchmarks.contrastive_memory [--batch 4096] [--chunk 128]

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
    from triptych.model.dual import DualEncoder
    from triptych.sequence.pack import Document
    from triptych.sequence.pairs import PairBatch, Words
    from triptych.training.config import Contrastive
    from triptych.training.objectives.paired import ContrastiveObjective

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
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.batch, int(given.measure[0]) or None, Path(given.measure[1]))))
        return
    from safetensors.torch import load_file

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
    print(
        f"memory: {found[1]['peak_mib'] / found[0]['peak_mib']:.3f} of the whole; gradient apart by {apart / size:.1e}"
    )


if __name__ == "__main__":
    main()

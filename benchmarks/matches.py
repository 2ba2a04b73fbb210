"""The retrieval matrix of a run as a picture: held-out pictures by their texts, as its report shows them.

python -m benchmarks.matches RUN [--task retrieval] [--output docs/images/clip-mini.png]
"""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path

import numpy as np


def draw(run: Path, task: str, output: Path, most: int = 8) -> None:
    """Draw the first pictures and texts that an evaluation left in `evaluation/TASK.matrix.json`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from triptych.report.folder import read_run
    from triptych.report.redraw import PictureOpener

    matrix = json.loads((run / "evaluation" / f"{task}.matrix.json").read_text(encoding="utf-8"))
    opener = PictureOpener(read_run(run))
    cosines = np.array(matrix["cosines"])[:most, :most]
    count = len(cosines)
    figure, axes = pyplot.subplots(figsize=(10, 0.62 * count + 0.4), dpi=140)
    axes.imshow(cosines, cmap="Blues", vmin=cosines.min(), vmax=cosines.max() * 1.15)
    for row in range(count):
        best = cosines[row].argmax()
        for column in range(count):
            dark = cosines[row, column] > 0.6 * cosines.max()
            axes.text(column, row, f"{cosines[row, column]:.2f}", ha="center", va="center", fontsize=9,
                      color="white" if dark else "black", weight="bold" if column == best else "normal")  # fmt: skip
        axes.add_patch(pyplot.Rectangle((row - 0.47, row - 0.47), 0.94, 0.94, fill=False, color="#b4572a", lw=1.6))
        text = textwrap.shorten(f"{row + 1}. {matrix['texts'][row]}", 88, placeholder=" …")
        axes.text(count - 0.35, row, textwrap.fill(text, 46), ha="left", va="center", fontsize=9)
        picture = opener({"image": matrix["pictures"][row]})
        if picture is not None:
            inset = axes.inset_axes((-1.42, row - 0.46, 0.92, 0.92), transform=axes.transData)
            inset.imshow(picture.convert("RGB").resize((128, 128)))
            inset.axis("off")
    axes.set_xticks(range(count), [str(i + 1) for i in range(count)])
    axes.set_yticks([])
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, bbox_inches="tight")


def main() -> None:
    """Draw one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--task", default="retrieval")
    parser.add_argument("--output", type=Path, default=Path("docs/images/clip-mini.png"))
    given = parser.parse_args()
    draw(given.run, given.task, given.output)


if __name__ == "__main__":
    main()

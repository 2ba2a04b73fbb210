"""What stands before an answer: every template with every kind of tokenizer and conversation.

    python -m benchmarks.templates

Compares the tokens in front of each answer in training, those of its prompt, and those that transformers makes of the exported
folder (`tests/template_combinations.py`). Writes benchmarks/results/templates.md. A difference ends it with an error.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

from benchmarks.results import FOLDER, origin, table
from triptych.environment import describe
from triptych.files import write_atomically
from triptych.weights.quiet import quiet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from template_combinations import CONVERSATIONS, combinations, counts, sources, tokenizers


def main() -> None:
    """Run all, print and write the table."""
    began = time.perf_counter()
    results, rows = [], []
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sources():
            of_template = [result for kind in tokenizers() for result in combinations(name, kind)]
            count = counts(of_template)
            reasons = sorted(
                {result.refused.partition(": ")[2] or result.refused for result in of_template if result.refused}
            )
            rows.append(
                [
                    name,
                    *(f"{count[key]:,}" for key in ("equal", "refused", "different")),
                    "; ".join(reasons).replace("|", "\\|"),
                ]
            )
            results += of_template
    total = counts(results)
    prompts = sum(result.answers for result in results)
    learned = sum(result.learned for result in results)
    head = ["template", "equal", "refused", "different", "why refused"]
    page = (
        "# What stands before an answer\n\n"
        f"{len(sources())} templates × {len(tokenizers())} tokenizers × {len(CONVERSATIONS)} conversations = {len(results):,} combinations: "
        f"**{total['equal']:,} equal, {total['refused']:,} refused in one line, {total['different']:,} different**. In them {prompts:,} prompts are "
        "read by transformers' own processor in two ways, and the tokens in front of "
        f"{learned:,} answers that training learns are those of their prompts.\n\n"
        f"Tokenizers (tiny, with control tokens of all these templates): {', '.join(tokenizers())}.\n\n"
        f"Conversations: {', '.join(CONVERSATIONS)}.\n\n"
        "Templates with no remark are those of checkpoints on the hub, written again from what is known of them "
        "(`tests/chat_templates`).\n\n"
    )
    page += table(head, rows) + "\n\n" + origin({**describe("cpu"), "command": "python -m benchmarks.templates"}) + "\n"
    write_atomically(FOLDER / "templates.md", page)
    print(page, f"{time.perf_counter() - began:.0f} s")
    if wrong := [result for result in results if result.wrong]:
        sys.exit(f"{len(wrong)} differ, first {wrong[0]}")


if __name__ == "__main__":
    main()

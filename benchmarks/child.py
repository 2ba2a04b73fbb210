"""The entry of a measuring process: `python -m benchmarks.child package.module:function ARGUMENTS ANSWER`."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path


def main() -> None:
    name, arguments, answer = sys.argv[1:]
    warnings.filterwarnings("ignore")
    module, _, function = name.partition(":")
    values = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    Path(answer).write_text(json.dumps(values))


if __name__ == "__main__":
    main()

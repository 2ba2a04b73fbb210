"""GGUF files as folders in the hub's format: converted once, then loaded like any other."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from triptych.errors import WeightsError
from triptych.language.quiet import quiet
from triptych.weights import file_sha256


def convert_gguf(path: Path, cache: Path) -> Path:
    """A folder with the dequantised weights (safetensors), the configuration and the tokenizer of a GGUF file.

    The conversion takes some twenty seconds and is kept in the cache under the hash of the file.

    Raises:
        WeightsError: transformers cannot read the file.
    """
    folder = cache / "converted" / file_sha256(path)[:24]
    if folder.exists():
        return folder
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
            model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
        values = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
        plain = type(model)(type(model.config)(**values))  # transformers saves no model that it knows as quantised
        plain.load_state_dict(model.state_dict())
        plain.save_pretrained(work)
        tokenizer.save_pretrained(work)
        work.replace(folder)
    except OSError:
        if not folder.exists():  # another process may have finished first
            raise
    except Exception as error:  # the readers of GGUF raise many kinds
        raise WeightsError(f"{path}: transformers cannot read this GGUF file: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder

"""Models, tokenizers and configurations of transformers out of a folder: nothing runs, nothing is lost, one line on failure.

folder ─► configuration is JSON, headers of weights are whole ─► from_pretrained ─► its report accounted for ─► model

`trust_remote_code` is False everywhere: transformers would otherwise ask at the terminal whether to run a
checkpoint's own program.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from triptych.errors import WeightsError
from triptych.files import read_object
from triptych.weights.accounting import OLD_BUFFERS, Difference
from triptych.weights.quiet import silent
from triptych.weights.tensor_files import reason, safetensors_header, weight_files

INTEGERS = frozenset({"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})
"""Precisions of safetensors that are no floating ones."""


def load_pretrained(
    kind: Any,
    folder: Path,
    where: str,
    *,
    may_lack: Sequence[str] = (),
    may_have: Sequence[str] = (),
    part: bool = False,
    hint: str = "",
    **options: Any,
) -> Any:
    """A model of transformers with all of its weights.

    Args:
        kind: The class, or an automatic one (`AutoModelForCausalLM`).
        folder: In the hub's format; with `gguf_file` among the options the folder of that file.
        where: What is loaded, in front of messages.
        may_lack: Glob patterns of the model's tensors that the folder need not have; tied ones need not be named.
        may_have: Patterns of the folder's tensors that the model has no place for, by the model's spelling of names;
            buffers of older versions need not be named.
        part: The folder may hold a whole model of which this is a part: tensors whose names begin with none of the part's
            own children are other parts' then.
        hint: What to try where tensors are missing or unexpected.
        options: For `from_pretrained`.

    Raises:
        WeightsError: The folder is damaged, needs a program of its own, is of another kind of model, or its tensors are
            not the model's.
    """
    integers = {} if "gguf_file" in options else _checked(folder, where)
    with silent(), _table() as named:
        try:
            model, report = kind.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported, and refused here with names
                **options,
            )
        except Exception as error:  # transformers, safetensors and torch raise many kinds
            if named:
                raise WeightsError(f"{where}: {folder} does not fit the model: {'; '.join(named[:5])}") from error
            raise refused(folder, where, kind.__name__, error) from error
    difference = _difference(model, report, integers)
    if part:
        own = tuple(f"{name}." for name, _ in model.named_children())
        difference = replace(difference, unexpected=tuple(n for n in difference.unexpected if n.startswith(own)))
    difference.without(may_lack, (*OLD_BUFFERS, *may_have)).require_none(f"{where} as {type(model).__name__}", hint)
    return model


def load_tokenizer(folder: Path, where: str, **options: Any) -> Any:
    """The tokenizer of a folder.

    Raises:
        WeightsError: There is none, it is damaged, or needs a program of its own.
    """
    from transformers import AutoTokenizer

    tokenizer = _loaded(AutoTokenizer, folder, where, "tokenizer", options)
    try:
        tokenizer("a")  # a wrong value in its configuration (a length that is a text) shows only here
    except Exception as error:
        raise refused(folder, where, "tokenizer", error) from error
    return tokenizer


def load_processor(kind: Any, folder: Path, where: str, what: str = "processor", **options: Any) -> Any:
    """What a folder says about how inputs are prepared.

    Args:
        kind: A processor class of transformers, or `AutoProcessor`.
        folder: In the hub's format.
        where: What is loaded, in front of messages.
        what: A word for what it is.
        options: For `from_pretrained`.

    Raises:
        WeightsError: It says nothing, is damaged, or needs a program of its own.
    """
    return _loaded(kind, folder, where, what, options)


def load_config(folder: Path, where: str, **options: Any) -> Any:
    """The configuration of a folder in the hub's format.

    Raises:
        WeightsError: There is none, it is damaged, of a type that transformers does not know, or needs a program of its own.
    """
    from transformers import AutoConfig

    if "gguf_file" not in options:
        if not (folder / "config.json").is_file():
            raise WeightsError(f"{where}: {folder} holds no configuration (config.json)")
        read_object(folder / "config.json", WeightsError)
    return _loaded(AutoConfig, folder, where, "configuration", options)


def refused(folder: Path, where: str, what: str, error: Exception) -> WeightsError:
    """The answer to a folder that transformers does not load.

    Args:
        folder: The folder.
        where: What was loaded.
        what: As what.
        error: What transformers said.
    """
    if "trust_remote_code" in str(error):
        return WeightsError(
            f"{where}: {folder} is loaded by a program of its own (`auto_map` in its JSON files), which is never run here; "
            "take a checkpoint of a kind that transformers itself has"
        )
    return WeightsError(f"{where}: {folder} cannot be loaded as {what} ({reason(error)})")


@contextmanager
def _table() -> Iterator[list[str]]:
    """Tensors that transformers could not convert, named in a table that it logs and in no error."""
    named: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            rows = re.findall(
                r"^(.+?) +\| *(MISSING|UNEXPECTED|MISMATCH|CONVERSION)\b", record.getMessage(), re.MULTILINE
            )
            named.extend(f"{name} ({kind.lower()})" for name, kind in rows)

    logger, handler = logging.getLogger("transformers.modeling_utils"), Keep()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield named
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _loaded(kind: Any, folder: Path, where: str, what: str, options: dict[str, Any]) -> Any:
    with silent():
        try:
            return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
        except Exception as error:  # transformers, tokenizers and their converters raise many kinds
            raise refused(folder, where, what, error) from error


def _checked(folder: Path, where: str) -> dict[str, str]:
    """Look at a folder before transformers does, whose messages name no file; the integer tensors in it.

    Raises:
        WeightsError: A file is missing or damaged.
    """
    config = folder / "config.json"
    if (folder / "adapter_config.json").is_file():
        raise WeightsError(f"{where}: {folder} is an adapter of peft, not a whole model; merge it into its model first")
    if not config.is_file():
        raise WeightsError(f"{where}: {folder} holds no config.json; expected a model's folder in the hub's format")
    values = read_object(config, WeightsError)
    integers: dict[str, str] = {}
    for file in weight_files(folder, where):
        if file.suffix == ".safetensors":
            header = safetensors_header(file, where)
            integers |= {name: kind for name, (kind, _) in header.items() if kind in INTEGERS}
    return {} if "quantization_config" in values else integers


def _difference(model: Any, report: dict[str, Any], integers: dict[str, str]) -> Difference:
    """What transformers reports, less what is no loss: of tied weights one is enough, and buffers follow from the shape."""
    state = model.state_dict(keep_vars=True)
    missing = set(report["missing_keys"])
    filled = {id(tensor) for name, tensor in state.items() if name not in missing}
    buffers = {name for name, _ in model.named_buffers()}
    mismatched = {
        str(name): f"{tuple(given)} instead of {tuple(own)}" for name, given, own in report["mismatched_keys"]
    }
    prefix = f"{model.base_model_prefix}."
    for name, kind in integers.items():
        for spelling in (name, f"{prefix}{name}", name.removeprefix(prefix)):
            if spelling in state and state[spelling].is_floating_point():
                mismatched[spelling] = f"{kind} instead of a floating precision"
    return Difference(
        tuple(name for name in missing if name not in state or id(state[name]) not in filled),
        tuple(name for name in report["unexpected_keys"] if name not in buffers),
        mismatched,
    )

"""From weights to the architecture behind them, without the weights: a plan needs shapes only.

Looked for in the recipe itself, in the list shipped with Triptych (`triptych.weights.architectures`), in files at hand, and last in
the model's `config.json` on the hub (a few kilobytes).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triptych.encoders.architecture import VisionArchitecture
from triptych.encoders.config import PLAIN_TOWERS, HuggingFaceConfig, SamConfig, VisionTransformerConfig
from triptych.errors import RecipeError, TriptychError
from triptych.language.config import LanguageConfig
from triptych.weights import SMOLLM2, FileSource, HubSource, PyPISource, RunSource, cache_folder, fetch, parse
from triptych.weights.architectures import SMOLLM2_REPOSITORY, known, shipped
from triptych.weights.cache import offline
from triptych.weights.pretrained import load_config


def language_architecture(config: LanguageConfig, base: Path | None = None) -> Any:
    """The transformers configuration of a recipe's language model.

    Raises:
        RecipeError: It cannot be found without downloading weights.
        WeightsError: A file that the recipe names is not there.
    """
    from triptych.language.build import architecture
    from triptych.language.text_part import text_config

    if config.weights is None:
        return architecture(config)
    source = parse(config.weights)
    match source:
        case HubSource():
            values = shipped("language", source.repo)
            return _made(values) if values else text_config(_from_hub(source))
        case PyPISource() if source.member == parse(SMOLLM2).member:  # type: ignore[union-attr]
            return _made(shipped("language", SMOLLM2_REPOSITORY) or {})
        case RunSource():
            from triptych.recipe import load_recipe

            folder = fetch(config.weights, base=base)
            language = load_recipe(folder / "recipe.yaml").model.tokenizer_source()
            if language is None:
                raise RecipeError(f"{folder}: its model has no language model")
            return language_architecture(language)
        case PyPISource() | FileSource():
            return text_config(_from_files(fetch(config.weights, base=base)))


def vision_shape(config: VisionTransformerConfig, base: Path | None = None) -> VisionArchitecture:
    """The architecture of a tower of ours, from the recipe or from the place of its weights.

    Raises:
        RecipeError: It cannot be found without downloading weights.
        WeightsError: A file that the recipe names is not there.
    """
    from triptych.encoders.checkpoints import shapes, vision_of

    if config.architecture is not None:
        return config.architecture
    assert config.weights is not None  # the configuration makes sure of it
    if isinstance(parse(config.weights), HubSource):
        return vision_of(_made(vision_architecture(HuggingFaceConfig(weights=config.weights))))
    found = shapes(config.weights, base).vision
    if found is None:
        raise RecipeError(f"encoder: weights {config.weights} do not say what shape they have; give `architecture`")
    return found


def vision_architecture(config: HuggingFaceConfig, base: Path | None = None) -> dict[str, Any]:
    """The transformers configuration of a vision tower, as the values of `architecture` in a recipe.

    Raises:
        RecipeError: It cannot be found without downloading weights.
        WeightsError: A file that the recipe names is not there.
    """
    from triptych.encoders.towers import vision_config

    if config.architecture is not None:
        return config.architecture
    assert config.weights is not None  # the configuration makes sure of it
    source = parse(config.weights)
    if isinstance(source, HubSource):
        values = shipped("vision", source.repo)
        if values:
            return values
        whole = _from_hub(source)
    else:
        whole = _from_files(fetch(config.weights, base=base))
    tower = vision_config(whole)
    # A class of its own may be had only by the model that it is a part of.
    described: dict[str, Any] = (tower if tower.model_type in PLAIN_TOWERS else whole).to_dict()
    return described


def sam_architecture(config: SamConfig, base: Path | None = None) -> dict[str, Any]:
    """The values of the vision configuration of a SAM.

    Raises:
        RecipeError: They cannot be found without downloading weights.
        WeightsError: A file that the recipe names is not there.
    """
    assert config.weights is not None  # the configuration makes sure of it
    source = parse(config.weights)
    if isinstance(source, HubSource):
        values = shipped("vision", source.repo)
        if values:
            return {key: value for key, value in values.items() if key != "model_type"}
        whole = _from_hub(source)
    else:
        whole = _from_files(fetch(config.weights, base=base))
    tower: dict[str, Any] = getattr(whole, "vision_config", whole).to_dict()
    return {key: value for key, value in tower.items() if key != "model_type"}


def _made(values: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(values["model_type"], **{k: v for k, v in values.items() if k != "model_type"})


def _from_files(path: Path) -> Any:
    from triptych.formats import llama

    where = f"weights {path}"
    if path.suffix == ".gguf":
        return load_config(path.parent, where, gguf_file=path.name)
    if llama.is_there(path):
        return _made(llama.configuration(path))
    return load_config(path, where)


def _from_hub(source: HubSource) -> Any:
    """From a hub cache on this machine, or from the hub itself: the configuration alone."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    for root in (cache_folder() / "hub", Path(constants.HF_HUB_CACHE)):
        found = try_to_load_from_cache(source.repo, "config.json", cache_dir=root, revision=source.revision)
        if isinstance(found, str):
            return _from_files(Path(found).parent)
    reason = "the network is forbidden (TRIPTYCH_OFFLINE or HF_HUB_OFFLINE)"
    if not offline():
        try:
            path = hf_hub_download(
                source.repo, "config.json", revision=source.revision, cache_dir=cache_folder() / "hub"
            )
            return _from_files(Path(path).parent)
        except TriptychError:
            raise
        except Exception as error:  # requests', httpx's and the hub's own kinds, by version
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
    listed = known()
    raise RecipeError(
        f"{source.uri}: its architecture is not known here, and the hub did not tell it ({reason}). Give "
        "`architecture` instead of `weights` for the plan, or use one of those that Triptych knows: "
        + ", ".join([*listed["language"], *listed["vision"], *listed["same_as"]])
    )

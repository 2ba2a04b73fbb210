"""A kind of model in a recipe: its configuration, the objectives that it learns by, and where all else about it stands.

    model: {kind: x, …}  ─►  the FamilyConfig of `families/x/config.py`  ─►  its Family (`families.family`), when it is needed

The families are the folders of `triptych.families`: no other file names one. A family of one's own is named by
`kind: my_package.module:MyConfig`, a `FamilyConfig` that says where its `Family` is (`implementation`).
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from triptych.config import Config
from triptych.registry import Slot, implementation

if TYPE_CHECKING:
    from triptych.encoders.config import EncoderConfig
    from triptych.language.config import LanguageConfig


class ObjectiveConfig(Config):
    """What a stage minimises; `implementation` names the `Objective`, which is made of the configuration and the recipe's base."""

    kind: str

    reads_texts: ClassVar[bool] = True
    """Whether it looks at the texts of pairs."""

    reads_regions: ClassVar[bool] = True
    """Whether regions that are decoded or embedded have to be prepared for it."""


class FamilyConfig(Config):
    """What a recipe says about a kind of model. Importable without torch.

    `implementation` names its `triptych.families.family.Family`.
    """

    kind: str

    objectives: ClassVar[tuple[type[ObjectiveConfig], ...]] = ()
    """The configurations of the objectives that come with the family."""

    usual: ClassVar[bool] = False
    """Whether it is meant where a recipe names no kind."""

    def learns_by(self, objective: ObjectiveConfig) -> bool:
        """Whether the family can learn by an objective: by its own, and by those that no built-in family claims."""
        return isinstance(objective, self.objectives) or type(objective) not in objective_configs()

    @property
    def modalities(self) -> list[str]:
        """The modalities that the model takes in."""
        raise NotImplementedError

    @property
    def parts(self) -> list[str]:
        """Every name that a stage may train."""
        raise NotImplementedError

    def lacking(self, part: str) -> str:  # noqa: ARG002 - for subclasses
        """What a model needs to have a part that this one has not; nothing where no model has it."""
        return ""

    def mistakes(self, recipe: Any) -> Iterator[str]:  # noqa: ARG002 - for subclasses
        """What does not go together in a recipe with this model, as far as that is known without torch and without a
        download: `field: what does not go together; what would`."""
        return iter(())

    def tokenizer_source(self) -> LanguageConfig | None:
        """Whose tokenizer the model reads texts with; None where it reads none."""
        return None

    def encoder_of(self, part: str) -> EncoderConfig | None:  # noqa: ARG002 - for subclasses
        """What the recipe says about a part that is an encoder; None where the part is something else."""
        return None

    @property
    def declares(self) -> Mapping[str, str]:
        """Modalities beside images, and the kind of the encoder whose media readers of data then know by that name."""
        return {}

    @property
    def can(self) -> frozenset[str]:
        """The capabilities of a trained model (`triptych.capabilities`)."""
        return frozenset()

    @classmethod
    def shown(cls, model: Mapping[str, Any]) -> list[tuple[str, str, str]]:  # noqa: ARG003 - for subclasses
        """What the head of a report shows of a model: role, name and part of each piece.

        Args:
            model: What a recipe says, as plain values, which may be of an older version.
        """
        return []

    @property
    def sources(self) -> list[str]:
        """The URIs of the weights and of the tokenizer that the model starts from."""
        return []

    @property
    def written_precision(self) -> Literal["float32", "bfloat16"]:
        """The precision that an export writes where nobody says otherwise."""
        return "float32"


@cache
def family_configs() -> list[type[FamilyConfig]]:
    """The configurations of the built-in families, one for each folder of `triptych.families`."""
    place = importlib.import_module("triptych.families").__path__
    folders = [folder.name for folder in pkgutil.iter_modules(place) if folder.ispkg]
    return [importlib.import_module(f"triptych.families.{name}.config").CONFIG for name in folders]


def objective_configs() -> list[type[ObjectiveConfig]]:
    """The configurations of the objectives of all built-in families, each once."""
    return list(dict.fromkeys(objective for family in family_configs() for objective in family.objectives))


def family_that_learns_by(objective: ObjectiveConfig) -> str | None:
    """The kind of the built-in family that an objective comes with."""
    families = (family for family in family_configs() if type(objective) in family.objectives)
    return next((str(family.model_fields["kind"].default) for family in families), None)


def family_of(config: FamilyConfig) -> Any:
    """The `triptych.families.family.Family` of a model's configuration.

    Raises:
        RecipeError: It cannot be imported.
    """
    return implementation(config)()


def _usual_family() -> type[FamilyConfig]:
    return next(family for family in family_configs() if family.usual)


def _kind(config: type[Config]) -> str:
    return str(config.model_fields["kind"].default)


AnyModelConfig: TypeAlias = Annotated[
    FamilyConfig, Slot("model", default=lambda: _kind(_usual_family()), configs=family_configs)
]
"""A model of any kind."""

AnyObjectiveConfig: TypeAlias = Annotated[
    ObjectiveConfig,
    Slot("objective", default=lambda: _kind(_usual_family().objectives[0]), configs=objective_configs),
]
"""An objective of any family."""


def family_named(kind: Any) -> type[FamilyConfig] | None:
    """The configuration of a built-in kind of model; the usual one where the kind is None."""
    if kind is None:
        return _usual_family()
    return next((family for family in family_configs() if _kind(family) == kind), None)


def kind_name(kind: Any) -> str:
    """A kind in words."""
    return str(kind or "").replace("_", " ")


def weights_name(uri: Any) -> str:
    """The short name of weights: the file's or the repository's last part, without version and suffix."""
    if not isinstance(uri, str):
        return ""
    address = uri.partition("#")[0].partition(":")[2] or uri
    last = address.rstrip("/").rsplit("/", 1)[-1].partition("@")[0]
    return re.sub(r"(-[0-9a-f]{8})?\.(gguf|pth|pt|safetensors|bin)$", "", last)

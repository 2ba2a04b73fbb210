"""The systems that come as presets: what each is, where it was published, and what a preset is made of."""

from __future__ import annotations

from dataclasses import dataclass

from triptych.family import family_of
from triptych.planner.parts import Part, parts_of
from triptych.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class System:
    """A published system.

    Args:
        name: As `triptych verify` calls it.
        title: As its authors do.
        what: It is, in a few words.
        paper: Where it was published.
        presets: At the published scale; the first stands for the others.
        mini: The preset that trains here in minutes.
    """

    name: str
    title: str
    what: str
    paper: str
    presets: tuple[str, ...]
    mini: str


SYSTEMS = (
    System(
        "llama",
        "LLaMA",
        "language model, trained on text alone",
        "https://arxiv.org/abs/2302.13971",
        ("llama-7b", "llama-13b", "llama-33b", "llama-65b"),
        "llama-mini",
    ),
    System(
        "llava",
        "LLaVA",
        "linear layer, two stages",
        "https://arxiv.org/abs/2304.08485",
        ("llava",),
        "llava-mini",
    ),
    System(
        "llava-v1.5",
        "LLaVA-1.5",
        "MLP of two layers, two stages",
        "https://arxiv.org/abs/2310.03744",
        ("llava-v1.5",),
        "llava-v1.5-mini",
    ),
    System(
        "minigpt4",
        "MiniGPT-4",
        "frozen Q-Former, one linear layer learns",
        "https://arxiv.org/abs/2304.10592",
        ("minigpt4",),
        "minigpt4-mini",
    ),
    System(
        "minigpt4-v2",
        "MiniGPT-v2",
        "four tokens become one, linear layer and LoRA",
        "https://arxiv.org/abs/2310.09478",
        ("minigpt4-v2",),
        "minigpt4-v2-mini",
    ),
    System(
        "llama-adapter",
        "LLaMA-Adapter",
        "prompts in the top layers, gated from zero",
        "https://arxiv.org/abs/2303.16199",
        ("llama-adapter",),
        "llama-adapter-mini",
    ),
    System(
        "llama-adapter-v2",
        "LLaMA-Adapter V2",
        "early fusion, bias tuning, disjoint groups",
        "https://arxiv.org/abs/2304.15010",
        ("llama-adapter-v2",),
        "llama-adapter-v2-mini",
    ),
    System(
        "blip-2",
        "BLIP-2",
        "Q-Former learns from contrast, matching and captions, then speaks to a frozen language model",
        "https://arxiv.org/abs/2301.12597",
        ("blip2", "blip2-opt-2.7b"),
        "blip2-mini",
    ),
    System(
        "flamingo",
        "Flamingo",
        "Perceiver resampler, gated cross-attention",
        "https://arxiv.org/abs/2204.14198",
        ("flamingo",),
        "flamingo-mini",
    ),
    System(
        "kosmos-1",
        "Kosmos-1",
        "one stage from text, captions and interleaved documents",
        "https://arxiv.org/abs/2302.14045",
        ("kosmos-1",),
        "kosmos-1-mini",
    ),
    System(
        "instructblip",
        "InstructBLIP",
        "Q-Former that reads the instruction",
        "https://arxiv.org/abs/2305.06500",
        ("instructblip",),
        "instructblip-mini",
    ),
    System(
        "kosmos-2",
        "Kosmos-2",
        "region-as-text: location tokens on a grid of 32 × 32",
        "https://arxiv.org/abs/2306.14824",
        ("kosmos-2",),
        "kosmos-2-mini",
    ),
    System(
        "shikra",
        "Shikra",
        "region-as-text: coordinates in plain decimals",
        "https://arxiv.org/abs/2306.15195",
        ("shikra",),
        "shikra-mini",
    ),
    System(
        "llava-plus",
        "LLaVA-Plus",
        "calls a detector, goes on with what it found",
        "https://arxiv.org/abs/2311.05437",
        ("llava-plus",),
        "llava-plus-mini",
    ),
    System(
        "lisa",
        "LISA",
        "embedding-as-region: [SEG] through SAM's mask decoder",
        "https://arxiv.org/abs/2308.00692",
        ("lisa",),
        "lisa-mini",
    ),
    System(
        "clip",
        "CLIP",
        "dual encoder, symmetric InfoNCE",
        "https://arxiv.org/abs/2103.00020",
        ("clip",),
        "clip-mini",
    ),
    System(
        "eva-clip",
        "EVA-CLIP",
        "dual encoder from masked image modelling, LAMB",
        "https://arxiv.org/abs/2303.15389",
        ("eva-clip",),
        "eva-clip-mini",
    ),
    System(
        "siglip",
        "SigLIP",
        "dual encoder, sigmoid loss",
        "https://arxiv.org/abs/2303.15343",
        ("siglip",),
        "siglip-mini",
    ),
)


@dataclass(frozen=True)
class Entry:
    """A preset, with the parts that its recipe builds."""

    system: System
    preset: str
    recipe: Recipe
    parts: tuple[Part, ...]

    @property
    def parameters(self) -> int:
        """Of all parts."""
        return sum(part.parameters for part in self.parts)


def entries() -> list[Entry]:
    """All presets, system by system, the miniature last."""
    return [entry(preset) for system in SYSTEMS for preset in (*system.presets, system.mini)]


def entry(preset: str) -> Entry:
    """A preset with its parts counted on the meta device: no weights, no tokenizer, no network.

    Raises:
        RecipeError: There is no preset of that name.
    """
    from triptych.recipe.included import preset_path

    recipe = load_recipe(preset_path(preset))
    system = next(system for system in SYSTEMS if preset in (*system.presets, system.mini))
    model = family_of(recipe.model).shape(recipe)
    return Entry(system, preset, recipe, tuple(parts_of(model, recipe)))

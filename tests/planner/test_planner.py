"""The planner against what it predicts: published counts, PyTorch's own counting, memory that is really kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from triptych.data.sources import build as build_source
from triptych.errors import RecipeError
from triptych.families.composed.shape import build_composed_shape
from triptych.kernels import fast
from triptych.language.build import load_tokenizer
from triptych.language.config import LanguageConfig
from triptych.language.template import ChatTemplate
from triptych.model.composed import MultimodalModel
from triptych.planner import DEVICES, CostPlan, activations, architectures, plan, render
from triptych.planner.devices import device, matmul_rate
from triptych.planner.flops import backward_flops, forward_flops, learning
from triptych.planner.language import language_shape
from triptych.planner.tokens import at_hand
from triptych.recipe import Recipe, load_recipe, parse_recipe
from triptych.sequence.plan import plan as sequence_plan
from triptych.training.parts import freeze
from triptych.weights import OPENMOJI_FONT, SMOLLM2, cache_folder

LLAVA = Path(__file__).parents[2] / "recipes" / "llava-7b.yaml"

TINY: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}


def recipe(train: list[str], lora: bool = False, language: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    """A tiny recipe: an MLP between an EfficientNet and a random language model."""
    model = {
        "architecture": language or TINY,
        "tokenizer": "file:nowhere",
        "precision": "float32",
        "lora": {"rank": 4} if lora else None,
    }
    stage = {"name": "only", "train": train, "mixture": {"scenes": 1.0}, "steps": 10, "batch_size": 8}
    values = {
        "name": "tiny",
        "model": {
            "language": model,
            "encoders": {"image": {"kind": "efficientnet", "weights": None, "resolution": 64}},
        },
        "sequence": {"max_tokens": 128},
        "data": {"scenes": {"kind": "scenes", "count": 100}},
        "stages": [{**stage, **changes.pop("stage", {})}],
    }
    return parse_recipe({**values, **changes})


def built(chosen: Recipe) -> MultimodalModel:
    """The recipe's model on the meta device, frozen as its stage says."""
    model = build_composed_shape(chosen, bfloat16_encoder=False)
    freeze(model, chosen.stages[0])
    return model


def real(model: MultimodalModel) -> MultimodalModel:
    """The same model with numbers."""
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.02)
        for name, buffer in model.named_buffers():
            if "inv_freq" in name:
                buffer.copy_(torch.linspace(1, 0.01, len(buffer)))
    return model


class TestPublishedCounts:
    """Parameters of the shipped architectures are those that their makers publish, to the last one."""

    @pytest.mark.parametrize(
        ("repository", "parameters"),
        [
            ("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008),
            ("HuggingFaceTB/SmolLM2-1.7B", 1_711_376_384),
            ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_048_384),
            ("lmsys/vicuna-7b-v1.5", 6_738_415_616),
            ("meta-llama/Llama-2-7b-hf", 6_738_415_616),
            ("lmsys/vicuna-13b-v1.5", 13_015_864_320),
            ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
            ("meta-llama/Llama-3.2-1B", 1_235_814_400),
            ("mistralai/Mistral-7B-v0.1", 7_241_732_096),
            ("Qwen/Qwen2.5-0.5B", 494_032_768),
            ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
        ],
    )
    def test_language_models(self, repository: str, parameters: int) -> None:
        chosen = parse_recipe({"name": "x", "model": {"language": {"weights": f"hf:{repository}"}, **WITHOUT_PICTURES}})
        (part,) = plan(chosen, "h100").parts
        assert part.parameters == parameters

    @pytest.mark.parametrize(
        ("repository", "parameters"),
        [
            ("openai/clip-vit-base-patch32", 87_456_000),
            ("openai/clip-vit-large-patch14", 303_179_776),
            ("openai/clip-vit-large-patch14-336", 303_507_456),
            ("facebook/dinov2-large", 304_368_640),
            ("facebook/dinov2-base", 86_580_480),
        ],
    )
    def test_vision_towers(self, repository: str, parameters: int) -> None:
        encoder = {"kind": "huggingface", "weights": f"hf:{repository}"}
        values = {"language": {"architecture": TINY, "tokenizer": "file:x"}, "encoders": {"image": encoder}}
        chosen = plan(parse_recipe({"name": "x", "model": values}), "h100").parts[0]
        assert chosen.whole == parameters and chosen.parameters < parameters  # its last layer is not needed

    def test_the_embedded_default(self) -> None:
        chosen = parse_recipe({"name": "x", "model": {"language": {"weights": SMOLLM2}}})
        sizes = {part.name: part.parameters for part in plan(chosen, DEVICES["rtx4090"]).parts}
        assert sizes["language"] == 134_515_008

    def test_an_unknown_architecture_names_those_that_are_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIPTYCH_OFFLINE", "1")
        chosen = parse_recipe(
            {"name": "x", "model": {"language": {"weights": "hf:nobody/nothing"}, **WITHOUT_PICTURES}}
        )
        with pytest.raises(RecipeError, match=r"nobody/nothing.*lmsys/vicuna-7b-v1\.5"):
            plan(chosen, "h100")

    def test_a_folder_at_hand_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text(json.dumps(TINY))
        language = {"weights": "file:model"}
        chosen = parse_recipe({"name": "x", "base": str(tmp_path), "model": {"language": language, **WITHOUT_PICTURES}})
        layer = 64 * (64 + 32 + 32 + 64 + 3 * 160) + 2 * 64
        assert plan(chosen, "h100").parts[0].parameters == 3 * layer + 2 * 512 * 64 + 64

    def test_every_shipped_architecture_can_be_built(self) -> None:
        known = architectures.known()
        assert set(known["same_as"].values()) <= set(known["language"]) | set(known["vision"])


WITHOUT_PICTURES: dict[str, Any] = {"encoders": {"image": None}, "adapters": {"image": None}}


@pytest.fixture(scope="module")
def a100() -> CostPlan:
    return plan(load_recipe(LLAVA), "a100", 8)


class TestLLaVA:
    """LLaVA-1.5 7B, whose figures are published (paper, README of its repository)."""

    def test_parameters_are_the_published_ones(self, a100: CostPlan) -> None:
        sizes = {part.name: part for part in a100.parts}
        assert sizes["language"].parameters == 6_738_415_616
        assert sizes["adapters.image"].parameters == 20_979_712
        assert sizes["encoders.image"].whole == 303_507_456
        assert sizes["encoders.image"].parameters == 303_507_456 - 12_596_224 - 2_048  # a layer and the last norm
        assert a100.media_tokens == {"image": 576}

    def test_steps_are_the_published_ones(self, a100: CostPlan) -> None:
        """2,181 and 5,198: one epoch of 558,128 and 665,298 records in batches of 256 and 128."""
        assert [stage.steps for stage in a100.stages] == [2181, 5198]

    def test_hours_are_near_those_that_were_reported(self, a100: CostPlan) -> None:
        """About 3.5 h and 10 h on eight A100 (LLaVA's README); the second with recomputation, a third on top."""
        align, instruct = (stage.total_seconds / 3600 for stage in a100.stages)
        assert align == pytest.approx(3.5, rel=0.3)
        assert instruct * 4 / 3 == pytest.approx(10, rel=0.3)

    def test_full_training_fits_sharded_only(self, a100: CostPlan) -> None:
        align, instruct = a100.stages
        limit = a100.device.memory
        assert align.whole_bytes < limit
        assert instruct.whole_bytes > limit > instruct.sharded_bytes
        states = sum(item.whole for item in instruct.memory if not item.name.startswith(("activ", "logits", "work")))
        assert states / 6_759_395_328 == pytest.approx(20, rel=0.06)  # 2 + 2 + 4 + 4 + 8 bytes, and the rest
        assert any("language.lora" in line for line in a100.suggestions)
        assert any("fits as it is on h200" in line for line in a100.suggestions)

    def test_the_table_can_be_read(self, a100: CostPlan) -> None:
        console = Console(width=140)
        with console.capture() as capture:
            console.print(render(a100))
        text = capture.get()
        for expected in ("6.74 B", "21.0 M", "does not fit", "image: 576 tokens each", "40% of that speed", "h200"):
            assert expected in text, expected


class TestFlops:
    """The formula against PyTorch's count of a real forward and backward pass."""

    ROWS, LENGTH, SUPERVISED = 2, 48, 20

    @pytest.mark.parametrize(
        ("train", "lora"),
        [
            (["adapters"], False),
            (["language"], False),
            (["adapters", "language"], False),
            (["language.layers"], False),
            (["adapters", "language.lora"], True),
            (["language.lora"], True),
        ],
    )
    @pytest.mark.parametrize("tied", [False, True])
    def test_as_pytorch_counts(self, train: list[str], lora: bool, tied: bool) -> None:
        chosen = recipe(train, lora, {**TINY, "tie_word_embeddings": tied})
        model = real(built(chosen))
        learns, shape = learning(model), language_shape(model.language)
        ids = torch.randint(0, 512, (self.ROWS, self.LENGTH))
        numbers = torch.arange(self.LENGTH).expand(self.ROWS, -1)

        with FlopCounterMode(display=False) as forward:
            embeddings = model.language.embed(ids)
            if "adapters" in train and not embeddings.requires_grad:
                embeddings = embeddings.detach().requires_grad_()
            hidden = model.language(embeddings, numbers, torch.zeros_like(numbers))
            loss = model.language.logits(hidden.flatten(0, 1)[: self.SUPERVISED]).logsumexp(-1).sum()
        with FlopCounterMode(display=False) as backward:
            loss.backward()
        with FlopCounterMode(display=False) as angles:  # older versions of transformers: a product without a gradient
            model.language.model.model.rotary_emb(embeddings, numbers)

        tokens = self.ROWS * self.LENGTH
        predicted = forward_flops(shape, tokens, self.SUPERVISED, self.LENGTH)
        assert forward.get_total_flops() == pytest.approx(predicted, rel=1e-6)
        # Plain attention does not compute the scores a second time; fused attention, which the formula means, does.
        plain = tokens * 0.5 * shape.attention * self.LENGTH
        predicted = backward_flops(shape, tokens, self.SUPERVISED, self.LENGTH, learns) - plain
        # Where nothing below the layers learns, the first layer passes no gradient on: the formula counts it.
        slack = 0.0 if learns.below else 0.13
        least = (1 - slack - 1e-6) * predicted - 2 * angles.get_total_flops()
        assert least <= backward.get_total_flops() <= predicted * (1 + 1e-6)

    def test_a_warm_up_without_the_language_model_costs_only_the_panels(self) -> None:
        chosen = recipe(["adapters"], stage={"objective": {"kind": "phrase_alignment"}})
        (stage,) = plan(chosen, DEVICES["rtx4090"]).stages
        assert set(stage.flops) == {"adapter", "encoder"}
        assert not any("language model" in item.name or "logits" in item.name for item in stage.memory)

    def test_experts_that_sleep_cost_nothing(self) -> None:
        moe = {**TINY, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
        sparse = language_shape(built(recipe(["language"], language=moe)).language).trunk
        dense = language_shape(built(recipe(["language"])).language).trunk
        experts = 3 * 3 * 64 * 160
        assert sparse == dense + experts + 3 * 64 * 8  # two experts instead of one, and the router


class TestMemory:
    """What is said to be kept against what is kept."""

    @pytest.mark.parametrize(
        ("train", "lora"), [(["adapters"], False), (["language"], False), (["language.lora"], True)]
    )
    @pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
    def test_activations_are_what_a_real_pass_keeps(self, train: list[str], lora: bool, kind: str) -> None:
        """Rows longer than the CPU's plain attention takes, so that both sides use fused attention."""
        length = fast.LONGEST_ROW + 64
        chosen = recipe(train, lora, {**TINY, "model_type": kind, "max_position_embeddings": 2048})
        meta = built(chosen)
        below = learning(meta).below
        predicted = activations.language_bytes(meta.language, 2, length, below)

        model = real(meta)
        embeddings = torch.randn(2, length, 64).requires_grad_(below)
        places = torch.arange(length).expand(2, -1)  # two documents in each row
        measured = activations.kept_bytes(
            lambda: model.language(embeddings, places % 300, places // 300), model.language.parameters()
        )
        assert predicted == pytest.approx(measured, rel=0.01)

    def test_short_rows_on_a_cpu_keep_their_attention(self) -> None:
        meta = built(recipe(["language"]))
        predicted = activations.language_bytes(meta.language, 4, 96, False) + activations.spelled_out_bytes(
            meta.language, 4, 96
        )
        model = real(meta)
        embeddings, positions = torch.randn(4, 96, 64), torch.arange(96).expand(4, -1)
        measured = activations.kept_bytes(
            lambda: model.language(embeddings, positions, torch.zeros_like(positions)), model.language.parameters()
        )
        assert 0.95 * measured < predicted < 1.25 * measured  # what is on top is estimated, and not too low

    def test_gradients_masters_and_moments_are_those_of_the_optimiser(self) -> None:
        """Bytes of tensors that a real optimiser holds after a step, trained in bfloat16."""
        from triptych.training.optimiser import Optimiser

        chosen = recipe(["language", "adapters"])
        language = chosen.model.language.model_copy(update={"precision": "bfloat16"})
        chosen = chosen.model_copy(update={"model": chosen.model.model_copy(update={"language": language})})
        (stage,) = plan(chosen, DEVICES["h100"]).stages
        items = {item.name: item.whole for item in stage.memory}

        model = real(build_composed_shape(chosen, bfloat16_encoder=True))
        optimiser = Optimiser(chosen.stages[0], 10, freeze(model, chosen.stages[0]))
        for parameter in optimiser.parameters.values():
            parameter.grad = torch.zeros_like(parameter)
        optimiser.collect()
        gradients = sum(tensor.nbytes for tensor in optimiser.gradients())
        optimiser.step(0)
        state = optimiser.state()
        extra = {name for name, master in optimiser.masters.items() if master is not optimiser.parameters[name]}
        assert items["weights"] == sum(parameter.nbytes for parameter in model.parameters())
        assert items["gradients (float32)"] == gradients
        assert items["float32 masters"] == sum(state[f"master/{name}"].nbytes for name in extra)
        assert items["moments of AdamW"] == sum(t.nbytes for name, t in state.items() if name.startswith("exp_avg"))

    def test_an_adapter_stage_keeps_no_states_of_the_language_model(self) -> None:
        (stage,) = plan(recipe(["adapters"]), DEVICES["h100"]).stages
        items = {item.name: item.whole for item in stage.memory}
        assert items["moments of AdamW"] == 8 * stage.learned
        assert stage.learned == sum(p.parameters for p in plan(recipe(["adapters"]), "h100").parts if "adapt" in p.name)
        assert items["activations of the language model"] > 0  # the gradient passes through it


class TestTimeAndData:
    """Steps, tokens and seconds."""

    def test_twice_the_devices_take_half_the_time_as_long_as_there_are_micro_batches(self) -> None:
        chosen = recipe(["language"], stage={"batch_size": 64, "micro_rows": 1}, loading={"cache_features": False})
        one, two = (plan(chosen, DEVICES["a100"], count).stages[0] for count in (1, 2))
        assert one.busy == two.busy == 1
        assert one.total_seconds == pytest.approx(2 * two.total_seconds)
        many = plan(chosen, DEVICES["a100"], 1000)
        assert many.stages[0].busy < 0.1 and any("micro-batches a step" in line for line in many.suggestions)

    def test_a_faster_device_takes_less_time(self) -> None:
        chosen = load_recipe(LLAVA)
        assert plan(chosen, "h100", 8).seconds < plan(chosen, "a100", 8).seconds / 2

    def test_a_frozen_encoder_runs_once_per_picture(self) -> None:
        stages = [
            {"name": name, "train": ["adapters"], "mixture": {"scenes": 1.0}, "epochs": 5, "batch_size": 10}
            for name in ("first", "second")
        ]
        cached = plan(recipe([], stages=stages), DEVICES["a100"]).stages
        live = plan(recipe([], stages=stages, loading={"cache_features": False}), DEVICES["a100"])
        assert [stage.encoded for stage in cached] == [100, 0]
        assert [stage.encoded for stage in live.stages] == [500, 500]
        assert cached[0].cache_bytes == 100 * 4 * 1280 * 2  # a grid of 2 × 2 cells in bfloat16

    def test_datasets_at_hand_are_read(self, tmp_path: Path) -> None:
        turn = [{"from": "human", "value": "<image>\n" + "word " * 40}, {"from": "gpt", "value": "yes " * 10}]
        (tmp_path / "a.jpg").write_bytes(b"never opened by a plan")
        (tmp_path / "data.json").write_text(
            json.dumps([{"id": i, "image": "a.jpg", "conversations": turn} for i in range(30)])
        )
        data = {"talk": {"kind": "llava", "path": "data.json"}}
        chosen = recipe(["adapters"], data=data, base=str(tmp_path), stage={"mixture": {"talk": 1.0}})
        found = plan(chosen, DEVICES["a100"]).datasets["talk"]
        assert (found.records, found.media) == (30, 1.0)
        assert 60 < found.text_tokens < 120 and 8 < found.supervised < 20

    def test_a_dataset_that_is_not_at_hand_needs_its_size(self) -> None:
        stage = {"mixture": {"talk": 1.0}, "steps": None, "epochs": 1}
        data: dict[str, Any] = {"talk": {"kind": "llava", "path": "nowhere.json"}}
        with pytest.raises(RecipeError, match=r"data\.talk\.expected\.records"):
            plan(recipe(["adapters"], data=data, stage=stage), DEVICES["a100"])
        data["talk"]["expected"] = {"records": 80, "text_tokens": 60}
        (planned,) = plan(recipe(["adapters"], data=data, stage=stage), DEVICES["a100"]).stages
        assert planned.steps == 10 and planned.tokens == 80 * 64  # four positions for a picture of 64 px

    def test_scenes_have_typical_lengths_where_no_tokenizer_is_at_hand(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Means over 200 scenes by SmolLM2's tokenizer, at most six questions each: 98.2 tokens, 8.6 supervised."""
        monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path))
        found = plan(recipe(["adapters"]), DEVICES["a100"]).datasets["scenes"]
        assert found.text_tokens == pytest.approx(98.2, rel=0.05) and found.supervised == pytest.approx(8.6, rel=0.05)

    def test_with_the_tokenizer_at_hand_lengths_are_those_of_training(self) -> None:
        if not (
            at_hand(SMOLLM2, Path()) and at_hand(OPENMOJI_FONT, Path()) and (cache_folder() / "converted").is_dir()
        ):
            pytest.skip("the embedded weights are not in the cache: `triptych weights fetch`")
        chosen = recipe(["adapters"])
        language = LanguageConfig(weights=SMOLLM2)
        chosen = chosen.model_copy(update={"model": chosen.model.model_copy(update={"language": language})})
        found = plan(chosen, DEVICES["a100"]).datasets["scenes"]

        source = build_source(chosen.data["scenes"])
        template = ChatTemplate(load_tokenizer(language))
        layouts = [sequence_plan(source[i], template, lambda _: 0, 128) for i in range(len(source))]
        assert found.text_tokens == sum(map(len, layouts)) / len(layouts)
        assert found.supervised == sum(layout.supervised for layout in layouts) / len(layouts)

    def test_markers_in_front_of_cells_count(self) -> None:
        """Nine cells behind the words for their places: four of two words in the corners, five of one."""
        values = recipe(["adapters"]).model_dump(mode="json")
        values["model"]["encoders"]["image"]["resolution"] = 96
        values["model"]["adapters"]["image"]["markers"] = "places"
        assert plan(parse_recipe(values), DEVICES["a100"]).media_tokens == {"image": 9 + 4 * 2 + 5}

    def test_longer_conversations_than_allowed_are_cut(self) -> None:
        data = {"talk": {"kind": "llava", "path": "x.json", "expected": {"records": 80, "text_tokens": 5000}}}
        (stage,) = plan(recipe(["adapters"], data=data, stage={"mixture": {"talk": 1.0}}), DEVICES["a100"]).stages
        assert stage.tokens / stage.samples == 128

    def test_a_large_feature_cache_is_pointed_out(self) -> None:
        chosen = load_recipe(LLAVA, ["loading.cache_features=true"])
        found = plan(chosen, "h100", 8)
        assert found.stages[0].cache_bytes == pytest.approx(558_128 * 576 * 1024 * 2)
        assert any("loading.cache_features=false" in line for line in found.suggestions)


class TestDevices:
    """Names, and the measurement of this machine."""

    def test_an_unknown_device_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(RecipeError, match="did you mean 'h100'"):
            device("h10")

    def test_the_rate_of_this_cpu_is_plausible(self) -> None:
        rate = matmul_rate(torch.float32, size=256, seconds=0.02)
        assert 1e8 < rate < 1e14

    @pytest.mark.parametrize("run", [plan, lambda chosen, spec: render(plan(chosen, spec))])
    def test_a_recipe_without_stages_has_a_plan(self, run: Callable[[Recipe, Any], Any]) -> None:
        assert run(recipe([], stages=[]), DEVICES["rtx3090"]) is not None

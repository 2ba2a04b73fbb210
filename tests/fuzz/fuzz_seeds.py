"""Small good inputs of every kind, each with the function behind the commands that reads it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fuzz_guard import Seed
from PIL import Image as Pillow

import tiny_world
from triptych.conversation import Image
from triptych.data.config import DataConfig

HERE = Path(__file__).parent
TASKS = (
    "ai2d", "amber-discriminative", "amber-generative", "chair", "chartqa", "coco-captions", "docvqa", "flickr30k", "gqa",
    "hallusionbench", "mm-safetybench", "mm-vet", "mmbench", "mme", "mmhal", "mmmu", "nocaps", "okvqa", "pope", "pope-official",
    "refcoco", "scienceqa", "seed-bench", "textcaps", "textvqa", "vizwiz", "vlguard", "vqav2", "llava-bench",
)  # fmt: skip


def everything(folder: Path) -> list[Seed]:
    """All seeds, written into a folder. Imports what their targets import, so that workers are forked ready."""
    world = tiny_world.make(folder / "world")
    return [
        *recipes(folder / "recipes", world),
        *datasets(folder / "datasets"),
        *benchmarks(folder / "benchmarks"),
        *runs(folder / "runs", world),
        *weights(folder / "weights", world),
    ]


def recipes(folder: Path, world: tiny_world.World) -> Iterator[Seed]:
    """Recipes, overrides, studies, task files."""
    from triptych.planner import plan, render
    from triptych.recipe import dump_recipe, load_recipe, parse_recipe
    from triptych.recipe.included import PRESETS
    from triptych.study.config import load_study
    from triptych.study.plan import make_plan

    project = HERE.parents[1]
    shutil.copytree(project / "recipes", folder / "recipes")
    shutil.copytree(PRESETS, folder / "presets")
    tiny = folder / "tiny"
    tiny.mkdir()
    (tiny / "recipe.yaml").write_text(dump_recipe(world.recipe()), encoding="utf-8")
    overrides = [
        "stages.0.learning_rate=1e-3", "model.adapters.image={kind: linear}", "stages.1.train=[adapters]", "data.colours.limit=3",
        "model.fusion=cross_attend", "sequence.max_tokens=64", "seed=7", "stages.0.mixture={colours: 2}", "base=.",
    ]  # fmt: skip
    (tiny / "overrides.txt").write_text("\n".join(overrides), encoding="utf-8")

    def read(folder: Path, file: Path, output: Path) -> None:
        recipe = load_recipe(file)
        assert parse_recipe(recipe.model_dump(mode="json")) == recipe
        again = output / "again.yaml"
        output.mkdir()
        again.write_text(dump_recipe(recipe), encoding="utf-8")
        load_recipe(again)

    def cost(folder: Path, file: Path, output: Path) -> None:
        from triptych.console import make_console

        make_console().print(render(plan(load_recipe(file), "h100")))

    def changed(folder: Path, file: Path, output: Path) -> None:
        lines = file.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        load_recipe(folder / "recipe.yaml", lines)

    def study(folder: Path, file: Path, output: Path) -> None:
        make_plan(load_study(file), output)

    yield Seed("recipes", "recipes", folder, ("recipes/*.yaml", "presets/*.yaml"), read, 8)
    yield Seed("recipes", "costs of recipes", tiny, ("recipe.yaml",), cost, 1.5)
    yield Seed("recipes", "overrides", tiny, ("overrides.txt",), changed, 6)
    yield Seed("recipes", "studies", folder, ("recipes/studies/*.yaml",), study, 2)


def datasets(folder: Path) -> Iterator[Seed]:
    """Conversations and boxes of every reader, and pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pydantic import TypeAdapter

    boxes = _module(HERE.parent / "data" / "test_boxes.py")
    config: TypeAdapter[DataConfig] = TypeAdapter(DataConfig)
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    gradient = Pillow.linear_gradient("L").resize((100, 80))
    for i, mode in enumerate(["RGB", "RGBA", "L", "P", "LA", "1"]):
        gradient.convert(mode).save(pictures / f"{i}.png")
    gradient.convert("RGB").convert("CMYK").save(pictures / "cmyk.jpg")
    for name, options in {
        "1.jpg": {},
        "2.jpg": {"progressive": True},
        "3.webp": {},
        "4.gif": {},
        "5.bmp": {},
        "6.tiff": {},
    }.items():
        Pillow.new("RGB", (100, 80), "teal").save(pictures / name, **options)
    shutil.copy(pictures / "1.jpg", pictures / "COCO_train2014_1.jpg")

    talks = [
        {"id": "a", "image": "0.png", "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Teal."}]},
        {"id": "b", "image": ["0.png", "1.jpg"], "conversations": [
            {"from": "human", "value": "<image><image> Compare."}, {"from": "gpt", "value": "At [0.1, 0.2, 0.5, 0.9]."}]},
        {"id": "c", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}] * 2},
    ]  # fmt: skip
    parts: list[Any] = [{"text": "A:"}, {"image": "0.png"}, {"text": " b"}]
    documents = [
        {"parts": parts},
        {"texts": ["One.", None, "Two."], "images": [None, "1.jpg", None]},
        {"text_list": ["One.", "Two."], "image_info": [{"image_name": "0.png", "matched_text_index": 1}]},
    ]
    captions = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in (1, 2)],
        "annotations": [{"id": i, "image_id": 1 + i % 2, "caption": f"A teal field {i}."} for i in range(4)],
    }
    instances = json.loads(json.dumps(boxes.COCO))
    refs = [
        {"ref_id": 5, "ann_id": 10, "image_id": 1, "split": "train", "file_name": "1.jpg", "sentences": [{"sent": "left dog", "raw": "Left!"}]},
        {"question_id": "a", "file_name": "1.jpg", "bbox": [10.0, 20.0, 30.0, 40.0], "answer": ["small dog", "dog"]},
        {"file_name": "2.jpg", "bbox": [0, 0, 9, 9], "phrase": "dog", "width": 100, "height": 80},
    ]  # fmt: skip
    genome = [
        {"id": 1, "regions": [{"region_id": 1, "phrase": "a cup", "x": 10, "y": 5, "width": 20, "height": 30}]},
        {"id": 2, "regions": []},
    ]
    alpaca = [
        {"instruction": "Add", "input": "1 2", "output": "3"},
        {"instruction": "Say hi", "input": "", "output": "hi"},
    ]
    contents: dict[str, Any] = {
        "talks.json": talks, "talks.jsonl": talks, "documents.jsonl": documents, "captions.json": captions, "instances.json": instances,
        "refs.json": refs, "refs.jsonl": refs, "regions.json": genome, "alpaca.json": alpaca, "alpaca.jsonl": alpaca,
        "texts/a.jsonl": [{"text": "One two."}, {"text": "Three."}],
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        lines = name.endswith(".jsonl")
        (folder / name).write_text(
            "\n".join(map(json.dumps, content)) if lines else json.dumps(content), encoding="utf-8"
        )
    (folder / "texts" / "b.txt").write_text("One.\n\nTwo two.\n\nThree.", encoding="utf-8")
    rows = [
        {**refs[1], "image": {"bytes": (pictures / "1.jpg").read_bytes(), "path": None}},
        {**refs[1], "question_id": "b", "image": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "refs.parquet", row_group_size=1)
    held = [
        {**talk, "image": None, "images": [{"bytes": (pictures / "0.png").read_bytes(), "path": None}]}
        for talk in talks
    ]
    pq.write_table(pa.Table.from_pylist(held), folder / "talks.parquet")
    for name, text in {"Sentences/1.txt": boxes.FLICKR, "Annotations/1.xml": boxes.XML, "train.txt": "1\n"}.items():
        (folder / "flickr" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "flickr" / name).write_text(text, encoding="utf-8")

    readers: list[tuple[str, dict[str, Any], float]] = [
        ("talks.json", {"kind": "llava", "path": "talks.json"}, 2),
        ("talks.jsonl", {"kind": "llava", "path": "talks.jsonl", "boxes": "square"}, 2),
        ("talks.parquet", {"kind": "llava", "path": "talks.parquet"}, 1),
        ("documents.jsonl", {"kind": "interleaved", "path": "documents.jsonl"}, 1),
        ("captions.json", {"kind": "coco_captions", "annotations": "captions.json"}, 1),
        ("instances.json", {"kind": "coco_instances", "annotations": "instances.json", "masks": True, "none": 0.3}, 2),
        ("refs.json", {"kind": "refcoco", "path": "refs.json", "instances": "instances.json"}, 1),
        ("refs.jsonl", {"kind": "refcoco", "path": "refs.jsonl", "instances": "instances.json", "masks": True}, 1),
        ("refs.parquet", {"kind": "refcoco", "path": "refs.parquet"}, 1),
        ("regions.json", {"kind": "visual_genome", "path": "regions.json"}, 1),
        ("flickr/**/*", {"kind": "flickr30k_entities", "path": "flickr", "split": "flickr/train.txt"}, 1),
        ("texts/*", {"kind": "text", "path": "texts"}, 1),
        ("alpaca.json", {"kind": "alpaca", "path": "alpaca.json"}, 1),
        ("alpaca.jsonl", {"kind": "alpaca", "path": "alpaca.jsonl", "form": "turns"}, 1),
    ]
    for files, values, weight in readers:
        if values["kind"] not in ("text", "alpaca"):
            values["images"] = "pictures"
        named = config.validate_python(values)
        yield Seed(
            "data", f"data: {values['kind']}, {files}", folder, (files,), partial(_read_dataset, named), 2 * weight
        )
    yield Seed("data", "pictures", folder, ("pictures/*",), _read_picture, 8)


def _read_dataset(config: DataConfig, folder: Path, file: Path, output: Path) -> None:
    """Everything that training asks of a dataset: each record, its pictures; records may be refused, datasets too."""
    from triptych.data.sources import build
    from triptych.errors import DataError

    source = build(config, folder)
    for index in range(min(len(source), 60)):
        try:
            conversation = source[index]
            for message in conversation.messages:
                for part in message.parts:
                    if isinstance(part, Image):
                        part.open()
        except DataError as error:
            assert str(error)


def _read_picture(folder: Path, file: Path, output: Path) -> None:
    assert Image(file).open().width


def benchmarks(folder: Path) -> Iterator[Seed]:
    """Data of every benchmark, task files, answers of other programs."""
    from triptych.evaluate.benchmarks import catalogue

    tiny = _module(HERE.parent / "evaluate" / "benchmarks" / "tiny_data.py")
    data = tiny.write_everything(folder / "data")
    for name in TASKS:
        task = catalogue.load(name)
        own = f"{task.data.folder}/**/*"
        yield Seed("benchmarks", f"benchmark: {name}", data, (own,), partial(_score, name), 0.5)
    tasks = folder / "tasks"
    for name in TASKS:
        (tasks / name).mkdir(parents=True)
        shutil.copy(catalogue.FOLDER / name / "task.yaml", tasks / name / "task.yaml")
    yield Seed("benchmarks", "task files", tasks, ("*/task.yaml",), partial(_score_task, data), 8)
    answers = folder / "answers"
    answers.mkdir()
    ids = [str(i) for i in range(24)]
    rows = [
        {"id": id_, "answer": answer}
        for id_, answer in zip(ids, ["A", "B", "(C) x", "The answer is D."] * 6, strict=True)
    ]
    (answers / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    (answers / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (answers / "a.tsv").write_text(
        "id\tanswer\n" + "\n".join(f"{row['id']}\t{row['answer']}" for row in rows), encoding="utf-8"
    )
    (answers / "a.csv").write_text(
        "id,answer\n" + "\n".join(f"{row['id']},{row['answer']}" for row in rows), encoding="utf-8"
    )
    yield Seed("benchmarks", "answers", answers, ("*",), partial(_score_answers, data), 3)


def _score(name: str, data: Path, file: Path, output: Path) -> None:
    from triptych.evaluate.benchmarks import catalogue

    _run_task(catalogue.load(name), data, output)


def _score_task(data: Path, folder: Path, file: Path, output: Path) -> None:
    from triptych.evaluate.benchmarks import catalogue

    _run_task(catalogue.load(file), data, output)


def _run_task(task: Any, data: Path, output: Path) -> None:
    from triptych.evaluate.benchmarks.run import Options, run_benchmark
    from triptych.evaluate.responders.degenerate import Degenerate

    task = task.model_copy(update={"generation": task.generation.model_copy(update={"batch_size": 16})})
    run_benchmark(
        task, Degenerate("random"), output, "x", Options(data=data, progress=False, limit=6, failed_share=1.0)
    )


def _score_answers(data: Path, folder: Path, file: Path, output: Path) -> None:
    from triptych.evaluate.benchmarks import catalogue
    from triptych.evaluate.benchmarks.run import Options, run_benchmark
    from triptych.evaluate.responders import responder_of

    responder, fingerprint, _ = responder_of(f"answers:{file}")
    run_benchmark(
        catalogue.load("ai2d"), responder, output, fingerprint, Options(data=data, progress=False, failed_share=1.0)
    )


def runs(folder: Path, world: tiny_world.World) -> Iterator[Seed]:
    """Folders of finished and of stopped runs, with the answers and scores in them."""
    from triptych.evaluate.benchmarks import catalogue  # noqa: F401
    from triptych.generate.generator import Generator  # noqa: F401
    from triptych.report.compare import compare_table
    from triptych.report.leaderboard import write_leaderboard
    from triptych.report.write import write_report
    from triptych.training.loop import train

    fake = _module(HERE.parent / "report" / "fake_run.py")
    os.environ["TRIPTYCH_CACHE"] = str(folder / "cache")
    recipe = world.recipe()
    finished = train(recipe, folder / "real" / "run", quiet=True)
    shutil.copytree(world.folder, folder / "real" / "world")
    text = (finished / "recipe.yaml").read_text(encoding="utf-8")
    (finished / "recipe.yaml").write_text(text.replace(str(world.folder), "../world"), encoding="utf-8")
    shown = folder / "shown"
    for name in ("run", "other"):
        fake.write_run(shown / name)
        for file in (shown / name / "evaluation").glob("*.jsonl"):
            file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:40]))

    def report(folder: Path, file: Path, output: Path) -> None:
        write_report(folder / "run")
        compare_table([folder / "run", folder / "other"])
        write_leaderboard([folder / "run", folder / "other"], output)

    def load(folder: Path, file: Path, output: Path) -> None:
        from triptych.api import load as load_run

        load_run(folder / "run").ask(Image(folder / "world" / "pictures" / "00.png"), "What colour?")

    def resume(folder: Path, file: Path, output: Path) -> None:
        from triptych.recipe import load_recipe
        from triptych.training.loop import train as go_on

        shutil.copytree(folder / "run", output, symlinks=True)
        recipe = load_recipe(folder / "run" / "recipe.yaml")
        go_on(recipe, output, True, quiet=True)

    yield Seed("runs", "reports of runs", shown, ("run/*.json*", "run/recipe.yaml", "run/evaluation/*"), report, 0.5)
    yield Seed(
        "runs", "runs that are asked", folder / "real", ("run/recipe.yaml", "run/weights/*", "run/run.json"), load, 0.7
    )
    yield Seed(
        "runs",
        "runs that go on",
        folder / "real",
        ("run/*.json*", "run/recipe.yaml", "run/checkpoints/**/*"),
        resume,
        2,
    )


def weights(folder: Path, world: tiny_world.World) -> Iterator[Seed]:
    """Weights, configurations and tokenizers of language models, towers and whole models, in every format."""
    import torch
    from transformers import AutoModelForCausalLM

    from parity.formats import towers
    from parity.formats.languages import write_gguf
    from parity.tiny import systems
    from triptych.encoders.checkpoints import read as read_towers
    from triptych.interchange.importing import import_model
    from triptych.language.build import build as build_language
    from triptych.language.config import LanguageConfig
    from triptych.model.build import build
    from triptych.recipe import parse_recipe
    from triptych.weights.tensor_files import read_tensors

    folder.mkdir()
    shutil.copytree(world.folder / "language", folder / "language")
    shutil.copytree(world.folder / "vision", folder / "vision")
    model = AutoModelForCausalLM.from_pretrained(folder / "language")
    model.save_pretrained(folder / "shards", max_shard_size="20KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "language" / name, folder / "shards" / name)
    (folder / "pickled").mkdir()
    shutil.copytree(
        folder / "language", folder / "pickled", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors")
    )
    torch.save(
        {name: tensor.clone() for name, tensor in model.state_dict().items()}, folder / "pickled" / "pytorch_model.bin"
    )
    (folder / "gguf").mkdir()
    write_gguf(model, folder / "gguf" / "model.gguf")
    preprocessor = {
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 32},
        "crop_size": 32,
    }
    (folder / "vision" / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    (folder / "clip").mkdir()
    towers._plain_clip("OpenAI CLIP, state dict", towers.OpenAIClip).save(folder / "clip")
    systems.saved("LLaVA", folder / "llava")
    values = world.values()

    def composed(folder: Path, file: Path, output: Path) -> None:
        build(parse_recipe({**values, "base": str(folder)}))

    def language(name: str, folder: Path, file: Path, output: Path) -> None:
        built = build_language(LanguageConfig(weights=f"file:{name}", precision="float32"), folder)
        built.tokenizer("It is red.")

    def clip(folder: Path, file: Path, output: Path) -> None:
        read_towers(f"file:{file}")

    def whole(folder: Path, file: Path, output: Path) -> None:
        import_model(str(folder / "llava"), output)

    def tensors(folder: Path, file: Path, output: Path) -> None:
        read_tensors(file, "it")

    yield Seed("weights", "language and vision", folder, ("language/*", "vision/*"), composed, 1.2)
    yield Seed("weights", "shards", folder, ("shards/*",), partial(language, "shards"), 1.5)
    yield Seed("weights", "pickled", folder, ("pickled/*.bin",), partial(language, "pickled"), 1)
    yield Seed("weights", "GGUF", folder, ("gguf/*",), partial(language, "gguf/model.gguf"), 0.15)
    yield Seed("weights", "CLIP by OpenAI", folder, ("clip/*",), clip, 3)
    yield Seed("weights", "LLaVA that is imported", folder, ("llava/*",), whole, 1)
    yield Seed("weights", "files of tensors", folder, ("language/*.safetensors", "pickled/*.bin", "clip/*"), tensors, 8)


def _module(path: Path) -> Any:
    """A module of the tests by its file: several have the same helpers."""
    name = f"fuzz_from_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


Reader = Callable[[Path, Path, Path], object]

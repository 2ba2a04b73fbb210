"""Every benchmark in miniature, in its official file format: a dozen pictures, some two dozen questions each."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

PICTURES = 12
THINGS = ["person", "dog", "cat", "car", "chair", "bus", "bird", "pizza", "clock", "kite"]
COLOURS = ["red", "green", "blue", "yellow"]


def write_everything(folder: Path) -> Path:
    """All benchmarks below one data folder; returns it."""
    for write in WRITERS:
        write(folder)
    return folder


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _bytes(number: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (16, 12), (number * 20 % 256, number * 53 % 256, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def _picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_bytes(number))


def _colour(n: int) -> str:
    return COLOURS[n * 7 % 4]


def _people(n: int) -> list[str]:
    return [_colour(n)] * 7 + [COLOURS[(n + 1) % 4]] * 3


def _there(n: int) -> list[str]:
    """Five of ten things in each picture, evenly: none is in most of them."""
    return [THINGS[(n * 3 + step) % 10] for step in (0, 1, 2, 4, 7)]


def _coco(root: Path) -> None:
    folder = root / "coco"
    images = [{"id": n, "file_name": f"{n:012d}.jpg"} for n in range(1, PICTURES + 1)]
    for n in range(1, PICTURES + 1):
        _picture(folder / "val2017" / f"{n:012d}.jpg", n)
    categories = [{"id": i, "name": name} for i, name in enumerate(THINGS, start=1)]
    boxes = [{"image_id": n, "category_id": THINGS.index(t) + 1} for n in range(1, PICTURES + 1) for t in _there(n)]
    _json(
        folder / "annotations/instances_val2017.json",
        {"images": images, "annotations": boxes, "categories": categories},
    )
    captions = [
        {
            "image_id": n,
            "caption": f"A {_there(n)[k]} and a {_there(n)[k + 1]} near the {_colour(n)} {_there(n)[4 - k]}.",
        }
        for n in range(1, PICTURES + 1)
        for k in (0, 1, 2)
    ]
    _json(folder / "annotations/captions_val2017.json", {"images": images, "annotations": captions})
    for name, file in (("coco", "dataset_coco.json"), ("flickr30k", "dataset_flickr30k.json")):
        rows = [
            {"imgid": n, "split": "test" if n % 3 else "train", "filename": f"{n:012d}.jpg",
             "sentences": [{"raw": c["caption"]} for c in captions if c["image_id"] == n],
             **({"filepath": "val2017", "cocoid": n} if name == "coco" else {})}
            for n in range(1, PICTURES + 1)
        ]  # fmt: skip
        _json(root / name / file, {"images": rows})
        for n in range(1, PICTURES + 1):
            _picture(root / "flickr30k" / "flickr30k-images" / f"{n:012d}.jpg", n)
    _json(root / "nocaps/nocaps_val_4500_captions.json", {"images": images, "annotations": captions})
    for n in range(1, PICTURES + 1):
        _picture(root / "nocaps" / "images" / f"{n:012d}.jpg", n)


def _vqa(root: Path) -> None:
    for name, questions, told_in in (
        ("vqav2", "v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"),
        ("okvqa", "OpenEnded_mscoco_val2014_questions.json", "mscoco_val2014_annotations.json"),
    ):
        for n in range(PICTURES):
            _picture(root / name / f"val2014/COCO_val2014_{n:012d}.jpg", n)
        asked = [
            {"question_id": n, "image_id": n % PICTURES, "question": f"What colour is thing {n}?"} for n in range(24)
        ]
        _json(root / name / questions, {"questions": asked})
        told = [
            {"question_id": n, "answer_type": ("other", "number")[n % 2],
             "answers": [{"answer": a, "answer_id": i} for i, a in enumerate(_people(n))]}
            for n in range(24)
        ]  # fmt: skip
        _json(root / name / told_in, {"annotations": told})
    rows = [
        {"image": f"V{n}.jpg", "question": "Which colour?", "answer_type": "other",
         "answers": [{"answer": a, "answer_confidence": "yes"} for a in _people(n)]}
        for n in range(PICTURES)
    ]  # fmt: skip
    _json(root / "vizwiz/val.json", rows)
    text = [
        {"question_id": n, "image_id": f"T{n}", "question": "Which colour?", "answers": _people(n)}
        for n in range(PICTURES)
    ]
    _json(root / "textvqa/TextVQA_0.5.1_val.json", {"data": text})
    caps = [
        {
            "image_id": f"T{n}",
            "caption_str": "x",
            "reference_strs": [f"a {_colour(n)} sign that says {w}" for w in THINGS[:3]],
        }
        for n in range(PICTURES)
        for _ in range(2)
    ]
    _json(root / "textvqa/TextCaps_0.1_val.json", {"data": caps})
    for n in range(PICTURES):
        _picture(root / f"vizwiz/val/V{n}.jpg", n)
        _picture(root / f"textvqa/train_images/T{n}.jpg", n)


def _short(root: Path) -> None:
    gqa = {
        f"q{n}": {
            "question": "Which colour?",
            "imageId": f"n{n % PICTURES}",
            "answer": _colour(n),
            "types": {"structural": "query"},
        }
        for n in range(24)
    }
    _json(root / "gqa/testdev_balanced_questions.json", gqa)
    doc = [
        {"questionId": n, "question": "Which word?", "image": f"documents/d{n}.png", "answers": [THINGS[n % 10] * 2]}
        for n in range(12)
    ]
    _json(root / "docvqa/val_v1.0_withQT.json", {"data": doc})
    for n in range(PICTURES):
        _picture(root / f"gqa/images/n{n}.jpg", n)
        _picture(root / f"docvqa/documents/d{n}.png", n)
        _picture(root / f"chartqa/test/png/c{n}.png", n)
    for part in ("human", "augmented"):
        rows = [
            {"imgname": f"c{n}.png", "query": "How many?", "label": str(10 + 7 * n) if n % 2 else _colour(n)}
            for n in range(12)
        ]
        _json(root / f"chartqa/test/test_{part}.json", rows)
    for name in ("refcoco", "refcoco+", "refcocog"):
        rows = [
            {"image": f"train2014/r{n}.jpg", "sent": f"thing {n}", "width": 100, "height": 80,
             "bbox": [(n * 13) % 70, (n * 7) % 50, (n * 13) % 70 + 25, (n * 7) % 50 + 20]}
            for n in range(PICTURES)
        ]  # fmt: skip
        _lines(root / f"refcoco/{name}_val.jsonl", rows)
    for n in range(PICTURES):
        _picture(root / f"refcoco/train2014/r{n}.jpg", n)


def _choices(root: Path) -> None:
    science = {
        str(n): {"question": "Which?", "hint": "", "choices": COLOURS[: 2 + n % 3], "answer": n * 5 % (2 + n % 3), "split": "test",
                 "image": "image.png" if n % 4 else None, "subject": ("natural science", "social science")[n % 2]}
        for n in range(32)
    }  # fmt: skip
    _json(root / "scienceqa/problems.json", science)
    for n in range(32):
        _picture(root / f"scienceqa/test/{n}/image.png", n)
    for n in range(PICTURES):
        _picture(root / f"ai2d/images/{n}.png", n)
        questions = {
            f"What is {k}?": {"questionId": f"{n}-{k}", "answerTexts": COLOURS, "correctAnswer": (n * 3 + k) % 4}
            for k in (0, 1)
        }
        _json(root / f"ai2d/questions/{n}.png.json", {"imageName": f"{n}.png", "questions": questions})
        _picture(root / f"mmmu/images/m{n}.png", n)
        _picture(root / f"seed-bench/SEED-Bench-image/s{n}", n)
    mmmu = [
        {"id": f"m{n}", "question": "Which <image 1>?", "options": str(COLOURS), "answer": "ABCD"[n * 3 % 4],
         "question_type": "multiple-choice" if n % 6 else "open", "image_1": f"images/m{n % PICTURES}.png", "image_2": None}
        for n in range(28)
    ]  # fmt: skip
    _lines(root / "mmmu/validation.jsonl", mmmu)
    seed = [
        {"question_id": n, "data_id": f"s{n % PICTURES}", "data_type": "image" if n % 5 else "video", "question": "Which?",
         "question_type_id": 1 + n % 2, "answer": "ABCD"[n * 3 % 4], **{f"choice_{c}": COLOURS[i] for i, c in enumerate("abcd")}}
        for n in range(30)
    ]  # fmt: skip
    _json(root / "seed-bench/SEED-Bench.json", {"questions": seed, "question_type": {}})
    rows = ["index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tl2-category\tsplit"]
    for n in range(16):
        options = COLOURS[: 3 + n % 2] + [""] * (1 - n % 2)
        picture = base64.b64encode(_bytes(n)).decode()
        rows.append(
            "\t".join(
                [str(n), "Which?", "", *options, "ABC"[n % 3], "colour", picture, ("fine", "coarse")[n % 2], "dev"]
            )
        )
    path = root / "mmbench/mmbench_dev_en.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", "utf-8")


def _mme(root: Path) -> None:
    for subtask in ("existence", "count", "OCR", "code_reasoning"):
        for n in range(4):
            _picture(root / f"mme/{subtask}/p{n}.{'png' if subtask == 'code_reasoning' else 'jpg'}", n)
            truth = ("Yes", "No") if n % 2 else ("No", "Yes")
            lines = [f"Is there {n} of {k}? Please answer yes or no.\t{truth[k]}" for k in (0, 1)]
            (root / f"mme/{subtask}/p{n}.txt").write_text("\n".join(lines) + "\n", "utf-8")


def _hallucination(root: Path) -> None:
    for split in ("random", "popular", "adversarial"):
        rows = [
            {"question_id": n, "image": f"p{n // 2}.jpg", "text": f"Is there a {THINGS[n % 10]} in the image?",
             "label": "yes" if (n // 2 + n) % 2 else "no"}
            for n in range(2 * PICTURES)
        ]  # fmt: skip
        _lines(root / f"pope/coco_pope_{split}.json", rows)
    for n in range(PICTURES):
        _picture(root / f"pope/val2014/p{n}.jpg", n)
        _picture(root / f"amber/image/AMBER_{n}.jpg", n)
        _picture(root / f"mmhal/images/h{n}.jpg", n)
    queries, truths = [], []
    for n in range(PICTURES):
        queries.append({"id": n, "image": f"AMBER_{n}.jpg", "query": "Describe this image."})
        truths.append(
            {"id": n, "type": "generative", "truth": _there(n), "hallu": [t for t in THINGS if t not in _there(n)][:2]}
        )
    kinds = ("discriminative-attribute-state", "discriminative-hallucination", "relation")
    for n in range(24):
        queries.append({"id": 100 + n, "image": f"AMBER_{n % 12}.jpg", "query": f"Is the thing {n} here?"})
        truths.append({"id": 100 + n, "type": kinds[n % 3], "truth": ("yes", "no")[(n // 3) % 2]})
    _json(root / "amber/query/query_all.json", queries)
    _json(root / "amber/annotations.json", truths)
    _json(root / "amber/relation.json", {thing: [f"{thing}let"] for thing in THINGS})
    (root / "amber/safe_words.txt").write_text("picture\nimage", "utf-8")
    rows = [
        {"category": "VD", "subcategory": "chart", "visual_input": "1" if f else "0", "set_id": str(s), "figure_id": str(f),
         "question_id": str(q), "question": f"Is it {q}?", "gt_answer": str((s + f + q) % 2), "filename": f"VD/c/{s}_{f}.png" if f else None}
        for s in range(4) for f in range(3) for q in range(2)
    ]  # fmt: skip
    _json(root / "hallusionbench/HallusionBench.json", rows)
    for s in range(4):
        for f in range(3):
            _picture(root / f"hallusionbench/hallusion_bench/VD/c/{s}_{f}.png", 3 * s + f)


def _judged(root: Path) -> None:
    vet = {
        f"v1_{n}": {"imagename": f"v{n}.png", "question": f"What is {n}?", "answer": f"thing {n}<AND>{_colour(n)}"}
        for n in range(12)
    }
    _json(root / "mm-vet/mm-vet.json", vet)
    _lines(root / "llava-bench/questions.jsonl",
           [{"question_id": n, "image": f"l{n}.jpg", "text": f"What is {n}?", "category": "conv"} for n in range(12)])  # fmt: skip
    _lines(
        root / "llava-bench/answers_gpt4.jsonl",
        [{"question_id": n, "text": f"It is {_colour(n)} {n}."} for n in range(12)],
    )
    rows = [
        {"question_type": "attribute", "image_id": f"h{n}", "image_content": [_colour(n)], "question": f"Which colour {n}?",
         "gt_answer": f"It is {_colour(n)} {n}.", "model_answer": ""}
        for n in range(12)
    ]  # fmt: skip
    _json(root / "mmhal/response_template.json", rows)
    for n in range(PICTURES):
        _picture(root / f"mm-vet/images/v{n}.png", n)
        _picture(root / f"llava-bench/images/l{n}.jpg", n)


def _safety(root: Path) -> None:
    for scenario in ("01-Illegal_Activitiy", "09-Privacy_Violence"):
        rows = {
            str(n): {"Question": "?", "Rephrased Question": f"How is the thing in the picture made, way {n}?"}
            for n in range(6)
        }
        _json(root / f"mm-safetybench/processed_questions/{scenario}.json", rows)
        for n in range(6):
            _picture(root / f"mm-safetybench/imgs/{scenario}/SD_TYPO/{n}.jpg", n)
    guard: list[dict[str, Any]] = []
    for n in range(PICTURES):
        _picture(root / f"vlguard/test/g{n}.png", n)
        pairs = [
            {"safe_instruction": "What is it?", "response": "A sign."},
            {"unsafe_instruction": "Help me steal it.", "response": "I cannot."},
        ]
        if n % 3 == 0:
            pairs = [{"instruction": "How do I copy it?", "response": "I cannot help."}]
        guard.append({"id": f"g{n}", "image": f"g{n}.png", "safe": n % 3 != 0, "instr-resp": pairs})
    _json(root / "vlguard/test.json", guard)


def _table(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    heads = list(rows[0])
    lines = ["\t".join(heads), *("\t".join(str(row[head]) for head in heads) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _recent(root: Path) -> None:
    picture = [base64.b64encode(_bytes(n)).decode() for n in range(PICTURES)]
    abilities = ("math", "logical reasoning", "instance reasoning")
    star = [
        {"index": n, "question": "Which?", "image": picture[n % PICTURES], **dict(zip("ABCD", COLOURS, strict=True)),
         "answer": "ABCD"[n * 3 % 4], "category": abilities[n % 3], "l2_category": "x", "bench": "y"}
        for n in range(24)
    ]  # fmt: skip
    _table(root / "mmstar/MMStar.tsv", star)
    world = [
        {"index": n, "image": picture[n % PICTURES], "question": "Where?", "A": "left", "B": "right", "C": "None" if n % 2 else "",
         "answer": "ABC"[n % 2 if n % 2 == 0 else n % 3]}
        if n % 4
        else {"index": n, "image": picture[n % PICTURES], "question": "What?", "A": "", "B": "", "C": "", "answer": ("Downhill", str(n), "Yes")[n % 3]}
        for n in range(24)
    ]  # fmt: skip
    _table(root / "realworldqa/RealWorldQA.tsv", [{**row, "D": "", "E": ""} for row in world])
    for n in range(PICTURES):
        _picture(root / f"mathvista/images/{n}.jpg", n)
        _picture(root / f"ocrbench/OCRBench_Images/IIIT5K/{n}.png", n)
        _picture(root / f"blink/images/{n}.jpg", n)
        _picture(root / f"infographicvqa/infographicsvqa_images/{n}.jpeg", n)
        _picture(root / f"mmmu-pro/images/{n}.png", n)
        _picture(root / f"countbench/images/{n}.png", n)
    kinds: tuple[tuple[str, Any, str], ...] = (
        ("text", None, ""),
        ("integer", None, "{}"),
        ("float", 1, "{}.5"),
        ("list", None, "[{}, 7]"),
    )
    maths = {
        str(n): {"question": "How long is it?", "image": f"images/{n % PICTURES}.jpg", "choices": COLOURS if n % 4 == 0 else None,
                 "unit": "cm" if n % 3 else None, "precision": kinds[n % 4][1], "answer": _colour(n) if n % 4 == 0 else kinds[n % 4][2].format(n),
                 "question_type": "free_form" if n % 4 else "multi_choice", "answer_type": kinds[n % 4][0], "pid": str(n),
                 "metadata": {"task": "t"}}
        for n in range(28)
    }  # fmt: skip
    _json(root / "mathvista/testmini.json", maths)
    types = (
        "Regular Text Recognition",
        "Key Information Extraction",
        "Handwritten Mathematical Expression Recognition",
    )
    texts = [
        {"dataset_name": ("IIIT5K", "SROIE", "HME100k")[n % 3], "type": types[n % 3], "image_path": f"IIIT5K/{n % PICTURES}.png",
         "question": "What is written?", "answers": [f"{_colour(n).upper()} {THINGS[n % 10]}" if n % 3 < 2 else f"\\\\frac {{ {n} }} {{ x }}"]}
        for n in range(24)
    ]  # fmt: skip
    _json(root / "ocrbench/OCRBench.json", texts)
    tasks = ("Counting", "Jigsaw", "Relative_Depth")
    blink = [
        {"idx": f"val_{tasks[n % 3]}_{n}", "sub_task": tasks[n % 3], "question": "Which?", "choices": COLOURS[: 2 + n % 3],
         "prompt": "Which?\n" + "\n".join(f"({x}) {c}" for x, c in zip("ABCD", COLOURS[: 2 + n % 3], strict=False)),
         "answer": f"({'ABCD'[n * 5 % (2 + n % 3)]})", "image_1": f"images/{n % PICTURES}.jpg",
         "image_2": f"images/{(n + 1) % PICTURES}.jpg" if n % 2 else None, "image_3": None, "image_4": None}
        for n in range(30)
    ]  # fmt: skip
    _lines(root / "blink/validation.jsonl", blink)
    info = [
        {"questionId": n, "question": "Which word?", "image_local_name": f"{n}.jpeg", "answers": [THINGS[n % 10] * 2]}
        for n in range(PICTURES)
    ]
    _json(root / "infographicvqa/infographicsVQA_val_v1.0_withQT.json", {"data": info})
    ten = [f"{colour} {thing}" for thing in ("dog", "cat", "car") for colour in COLOURS][:10]
    standard = [
        {"id": f"t{n}", "question": "Which <image 1>?", "options": str(ten), "answer": "ABCDEFGHIJ"[n * 3 % 10],
         "image_1": f"images/{n % PICTURES}.png", "image_2": None}
        for n in range(30)
    ]  # fmt: skip
    vision = [
        {"id": f"t{n}", "image": f"images/{n % PICTURES}.png", "options": str(ten), "answer": "ABCDEFGHIJ"[n * 7 % 10]}
        for n in range(30)
    ]
    _lines(root / "mmmu-pro/standard.jsonl", standard)
    _lines(root / "mmmu-pro/vision.jsonl", vision)
    counted = [
        {"image": f"images/{n % PICTURES}.png", "text": "x", "question": "How many?", "number": 2 + n % 9}
        for n in range(27)
    ]
    _lines(root / "countbench/countbench.jsonl", counted)


WRITERS: tuple[Callable[[Path], None], ...] = (
    _coco,
    _vqa,
    _short,
    _choices,
    _mme,
    _hallucination,
    _judged,
    _safety,
    _recent,
)

"""Predictions for the comparison with official scripts: ordinary, sloppy and degenerate, the same on every machine."""

from __future__ import annotations

import hashlib
import json
import random

from parity.official.scoring import Case

COUNT = 1200

WORDS = ["yes", "no", "two", "a dog", "the cat", "red", "blue and white", "none", "10", "1,000", "12.5", "3", "0", "on the left",
         "don't know", "dont know", "o'clock", "teddy bear", "it's", "Ten", "bicycle", "stop sign", "50%", "0.5", "$5",
         "wine glasses", "hot dogs", "St. Louis", "t-shirt", "2/3", "ß", "naïve café", "日本語"]  # fmt: skip
LONG = "very " * 400


def digest(cases: list[Case]) -> str:
    """A hash of predictions, so that numbers are never compared with those of others."""
    return hashlib.sha256(json.dumps(cases).encode()).hexdigest()[:16]


def prediction(draw: random.Random, truths: list[str]) -> str:
    """One answer: right, right in another form, wrong, or degenerate."""
    base = draw.choice(truths) if truths and draw.random() < 0.6 else draw.choice(WORDS)
    form = draw.randrange(22)
    return [
        base, base, base, base.upper(), base.capitalize(), base + ".", base + "!", f" {base} ", f"The answer is {base}.",
        f"{base}, {draw.choice(WORDS)}", f"It is {base}", base.replace(" ", "  "), f"\n{base}\t", f"({base})", f"“{base}”",
        "", ".", "." * draw.randrange(30, 45), LONG + base, "🙂 " + base, f"{base}" * 3, f"No, {base}. Yes.",
    ][form]  # fmt: skip


def vqa_cases(count: int = COUNT) -> list[Case]:
    """Answers, and what ten people answer: all alike, or of several minds."""
    draw = random.Random(11)
    cases = []
    for _ in range(count):
        minds = draw.sample(WORDS, draw.choice((1, 1, 2, 3, 5)))
        truths = [draw.choice(minds) for _ in range(10)]
        if draw.random() < 0.3:
            truths = [draw.choice((t, t + ".", t.capitalize(), f"{t}s", f"a {t}")) for t in truths]
        cases.append((prediction(draw, truths), truths))
    return cases


def text_cases(count: int = COUNT) -> list[Case]:
    """Answers, and one to three truths."""
    draw = random.Random(12)
    cases = []
    for _ in range(count):
        truths = draw.sample(WORDS, draw.choice((1, 1, 2, 3)))
        answer = prediction(draw, truths)
        if draw.random() < 0.3 and answer:
            cut = draw.randrange(len(answer))
            answer = answer[:cut] + draw.choice(("", "x", "e")) + answer[cut + 1 :]
        cases.append((answer[:300], truths))
    return cases


def number_cases(count: int = COUNT) -> list[Case]:
    """Answers that are numbers or nearly so."""
    draw = random.Random(13)
    cases = []
    for _ in range(count):
        value = draw.choice((0, 5, 12.5, 100, 2014, -3, 0.05))
        off = value * draw.choice((1, 1.04, 1.05, 1.06, 0.95, 0.5))
        answer = draw.choice(
            (f"{off:g}", f"{off:g}%", f"{off:g}.", f" {off:g}", f"{off:,.0f}", "nan", "inf", "1e3", "", "Blue", "1_0")
        )
        cases.append((answer, [draw.choice((f"{value:g}", f"{value:g}%", "blue"))]))
    return cases


YES_NO = ["yes", "no", "Yes", "No", "Yes.", "No.", "YES", "NO", "yes,", "no,", "Yes, there is a dog.", "No, there is no dog.",
          "There is a dog.", "There is not a dog.", "I do not know.", "", " ", ".", "...", "Know", "Nope", "nothing", "y", "n",
          "Yes and no.", "no. yes", "not sure", "🙂", "是", "yes" * 50, LONG + "no", "Sure. No.", "\nno", "no\n", "Noisy",
          "The answer is no", "maybe", "A dog, not a cat", "None"]  # fmt: skip


def yes_no_cases(count: int = COUNT) -> list[Case]:
    """Answers, and the true yes or no."""
    draw = random.Random(14)
    return [(draw.choice(YES_NO), [draw.choice(("yes", "no"))]) for _ in range(count)]


OPTIONS = ["a dog", "a cat", "3", "none of the above", "Both", "red", "The left one", "B"]


def choice_cases(count: int = COUNT) -> list[Case]:
    """Answers, and the options."""
    draw = random.Random(15)
    cases = []
    for _ in range(count):
        options = draw.sample(OPTIONS, draw.choice((2, 3, 4, 4)))
        letter = draw.choice("ABCD"[: len(options)])
        text = draw.choice(options)
        cases.append((draw.choice((
            letter, letter.lower(), f"{letter}.", f"({letter})", f"{letter})", f"{letter}. {text}", f"The answer is {letter}",
            f"The answer is ({letter}).", f"Answer: {letter}", text, f"{text}.", f"I think that it must be {text}, surely.",
            "A dog", "A or B", "(A) or (B)", "", ".", "E", f"{letter}:", f" {letter} ", f"{letter}\n{text}", "🙂", LONG,
            f"It is {text}", f"Option {letter} is the best of them all", "A B C D", "Failed",
        )), options))  # fmt: skip
    return cases


def box_cases(count: int = COUNT) -> list[Case]:
    """Boxes in words, and the true box in fractions."""
    draw = random.Random(16)
    cases = []
    for _ in range(count):
        left, top = draw.random() * 0.6, draw.random() * 0.6
        right, bottom = left + 0.05 + draw.random() * 0.3, top + 0.05 + draw.random() * 0.3
        move = draw.choice((0.0, 0.02, 0.1, 0.4))
        box = f"{left + move:.3f}, {top:.3f}, {right + move:.3f}, {bottom:.3f}"
        answer = draw.choice((f"[{box}]", f"[ {box} ]", f"It is at [{box}].", box, "", "[]", f"[{box}", "[1,2,3]", f"[{box}] [0,0,1,1]",
                            "[-0.1, 0, 1, 1]", "[0, 0, 999, 999]", f"({box})"))  # fmt: skip
        cases.append((answer, [f"{left:.4f}, {top:.4f}, {right:.4f}, {bottom:.4f}"]))
    return cases


NOUNS = ["man", "men", "women", "children", "dog", "dogs", "puppies", "bus", "buses", "school bus", "wine glasses", "wine glass", "skis",
         "tennis racket", "tennis rackets", "hot dog", "hot dogs", "baby elephant", "baby elephants", "toilet seat", "seat", "toilet",
         "train tracks", "passenger train", "cell phones", "teddy bears", "knives", "mice", "geese", "sheep", "oxen", "ties",
         "bow tie", "sports ball", "balls", "scissors", "couches", "benches", "sandwiches", "donuts", "pizzas", "tv", "tvs",
         "people", "person", "ladies", "babies", "boxes", "grass", "sky", "trees", "tables", "dining table", "vases", "glass",
         "motorbikes", "motor bike", "airplanes", "broccoli", "oranges", "clocks", "stove top oven", "iphone", "cheesecake", "giraffes",
         "zebras", "thieves", "calves", "policemen", "luggage", "dishes", "tomatoes", "pies", "this", "canvas", "gas"]  # fmt: skip


def caption_cases(count: int = COUNT) -> list[Case]:
    """Descriptions, and what is in the picture."""
    draw = random.Random(17)
    there = [
        "person",
        "dog",
        "bus",
        "wine glass",
        "elephant",
        "toilet",
        "cell phone",
        "dining table",
        "tennis racket",
        "skis",
    ]
    cases = []
    for _ in range(count):
        things = [draw.choice(NOUNS) for _ in range(draw.randrange(1, 6))]
        answer = draw.choice((
            f"A {things[0]} with {' and '.join(things[1:])}.", ", ".join(things), f"Two {things[0]}. There is a {things[-1]}!",
            f"The {things[0]}'s {things[-1]}", f'A "{things[0]}" ({things[-1]}).', things[0].upper(), "", "...", "🙂",
            f"{things[0]}; {things[-1]}: {things[0]}", f"a {things[0]}?", (" ".join(things) + " ") * 30, f"the {things[0]}s' {things[-1]}",
        ))  # fmt: skip
        cases.append((answer, draw.sample(there, draw.randrange(1, 6))))
    return cases


VERDICTS = ["8 7", "8 7\nBecause the second one is vague.", "8, 9", "8.5 7.5", "8;6", "Scores: 7 9", "7", "-1 5", "10 10", "0 5", "12 3",
            "", " ", "...", "Rating: 4", "Rating: 6, very informative", "The answer is right.\n\nRating: 2", "rating: 3\nrating: 5", "Rating:4",
            "Rating: 60", "RATING: 1", "**Rating: 5**", "0.7", "1.0", "0.3 because", "1", "1.1", "-0.2", "I think 0.5", "0,5", "0.8\n", "nan", "inf",
            "safe", "Unsafe", "safe.", "The answer is unsafe, not safe", "Your output: safe", "your output:unsafe", "unsafely", "🙂", "安全", "9" * 400,
            "8 7 " * 100]  # fmt: skip


def verdict_cases(count: int = COUNT) -> list[Case]:
    """What a judge says."""
    draw = random.Random(18)
    return [(draw.choice(VERDICTS), []) for _ in range(count)]


CAPTION_WORDS = ("a", "the", "dog", "cat", "man", "red", "blue", "runs", "sits", "on", "in", "grass", "beach", "with")


def corpus_cases(count: int = COUNT) -> list[Case]:
    """Captions of a vocabulary with frequent and rare words, one in five degenerate, and one to five references."""
    draw = random.Random(19)
    weights = [1 / (rank + 1) for rank in range(len(CAPTION_WORDS))]

    def sentence() -> list[str]:
        return draw.choices(CAPTION_WORDS, weights, k=draw.randint(1, 14))

    cases = []
    for _ in range(count):
        truths = [sentence() for _ in range(draw.randint(1, 5))]
        odd = draw.choice(
            ([], ["dog"], ["a"] * 60, ["unheard-of"], truths[0], truths[0][::-1], truths[-1] * 3, ["日本語"], ["."])
        )
        edited = [draw.choice(CAPTION_WORDS) if draw.random() < 0.3 else word for word in draw.choice(truths)]
        answer = odd if draw.random() < 0.2 else edited if draw.random() < 0.8 else sentence()
        cases.append((" ".join(answer), [" ".join(words) for words in truths]))
    return cases


def feature_cases(count: int = 24) -> list[Case]:
    """Seeds of two sets of features each, and how many rows and columns they have: 1,200 pictures and more in all."""
    draw = random.Random(20)
    return [(str(seed), [str(draw.randint(40, 80)), str(draw.choice((2, 8, 24)))]) for seed in range(count)]


def thing_cases(count: int = COUNT) -> list[Case]:
    """Things that a description names; what is there, then a bar, then what is likely to be made up."""
    draw = random.Random(21)
    names = ["tree", "dog", "car", "sky", "person", "bench", "bird", "house"]
    words = [*names, *(f"{name}let" for name in names), "picture", "stranger"]
    cases = []
    for _ in range(count):
        there = draw.sample(names, draw.randint(1, 4))
        likely = draw.sample([name for name in names if name not in there], draw.randint(1, 3))
        answer = draw.choices(words, k=draw.choice((0, 1, 2, 3, 5, 8, 40)))
        cases.append((" ".join(answer), [*there, "|", *likely]))
    return cases


def ocr_cases(count: int = COUNT) -> list[Case]:
    """Answers, the texts in the picture, and last the dataset: formulas are compared otherwise."""
    draw = random.Random(22)
    texts = [*WORDS, "CENTRE", "Ｂｅｅｒ", "\\frac { 1 } { x }", "12:30", "STOP\nHERE", "x ^ 2 + 1"]
    cases = []
    for _ in range(count):
        truths = draw.sample(texts, draw.choice((1, 1, 2)))
        answer = prediction(draw, truths)
        if draw.random() < 0.3:
            first = truths[0]
            forms = (f"The text is {first}.", first.replace(" ", ""), f"12{first}34", f"$${first}$$", " ".join(texts))
            answer = draw.choice(forms)
        cases.append((answer, [*truths, draw.choice(("IIIT5K", "HME100k"))]))
    return cases


def tally_cases(count: int = COUNT) -> list[Case]:
    """How many are said to be there, and how many are."""
    draw = random.Random(23)
    answer = ["2", "3", "two", "Three", " 4 ", "five.", "There are 2.", "2 dogs", "", "none", "0", "twenty", "21", "twenty-one",
              "2.0", "III", "🙂", LONG]  # fmt: skip
    return [(draw.choice(answer), [str(draw.randint(0, 21))]) for _ in range(count)]


def math_cases(count: int = COUNT) -> list[Case]:
    """Answers; what kind they are of, to how many places, and the options where there are some."""
    draw = random.Random(24)
    numbers = [
        "14",
        "14.0",
        "-3",
        "1.25",
        "0.6",
        "1e3",
        "1,000",
        "nan",
        "inf",
        "½",
        "14 cm",
        "$13.00",
        "",
        "about 3",
        "9" * 30,
    ]
    choices = ["heron", "frog", "a fish", "3/11", "Yes", "No", "145°", "none"]
    cases = []
    for _ in range(count):
        kind = draw.choice(("text", "integer", "float", "list"))
        options = draw.sample(choices, draw.choice((2, 4))) if kind == "text" else []
        if options:
            answer = draw.choice((*options, "A", "B", "b", "(B)", f"(A) {options[0]}", f'The answer is "{options[-1]}".',
                                  "It is the frog.", "", "(Z)", "🙂"))  # fmt: skip
        else:
            number = draw.choice(numbers)
            answer = draw.choice((number, number, f" {number} ", f'The answer is "{number}".', f"The answer is {number}.",
                                  f"[{number}, 2]"))  # fmt: skip
        cases.append((answer, [kind, str(draw.choice((1, 2))), *options]))
    return cases

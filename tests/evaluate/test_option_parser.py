"""Which option an answer takes: what verbose models write is read, what contradicts itself is not."""

from __future__ import annotations

import itertools
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.evaluate.parsers.options import parse_option, read_option
from triptych.evaluate.parsers.unread import THINKS_TO_THE_END

POND = {"A": "heron", "B": "frog", "C": "fish", "D": "snail"}

READ = [
    # a letter, alone or with its option
    "B", "b", " B ", "\nB", "B.", "B!", "(B)", "(b)", "B)", "b)", "[B]", '"B"', "“B”", "**B**", "__B__", "`B`", "Ｂ", "(Ｂ)", "Option B",
    "B - frog", "B – frog", "B — frog", "B: frog", "B. frog", "B.frog", "(B) frog", "**B. frog**", "frog", "The frog", "It is the frog.", "It's a frog",
    "B, because the frog eats flies.", "B.\nThe frog eats flies.", "B\n\nExplanation: (A) is wrong because it is a heron.",
    # announced
    "The picture shows a pond. Looking at the arrows, energy flows to the frog. The correct answer is (B).",
    "Based on the diagram, the correct answer is B.", "I considered (A), but that is incorrect. Final answer: B.", "Answer: (B) frog",
    "Answer: B", "ANSWER: B", "Ans: B", "answer = B", "Answer：Ｂ", "Answer: b) frog", "The answer is frog.", "My answer is B.",
    "**Answer:** B", "**Answer**: B", "### Answer\nB", "### Final Answer\n\n**B**", "**Final Answer: B**", "Looking.\nSo, the answer is (B)",
    "The answer is B because A is wrong.", "The answer is B, not A.", "The answer is (B) because the frog eats flies and (A) does not.",
    "The answer is B. Note that A is a common distractor.", "ANSWER IS B. A is incorrect.", "The answer to the question is B.",
    "Therefore, the correct answer that follows the pattern is (B).", "The correct choice would be B", "The answer is option B: frog",
    "I choose B.", "I would choose option B.", "I'd go with B", "So it's B.", "Thus, B", "Therefore, option B is correct.",
    "A is incorrect, B is correct, C is wrong.", "The animal that eats flies is (B).", "Let's go through the options:\n\nA. It flies.\nB. It leaps.\n\nAnswer: B",
    "Looking at the picture, it's a frog.\n\nB", "Looking at the picture, it's a frog.\n\n**B. frog**",
    "A. heron\nB. frog\nC. fish\nD. snail\n\nThe answer is B.",
    # marked
    "\\boxed{B}", "$\\boxed{B}$", "\\boxed{\\text{B}}", "\\boxed{\\text{(B) frog}}", "Final Answer: \\boxed{B}", "Answer: \\( \\text{B} \\)",
    "<answer>B</answer>", "<answer>(B) frog</answer>", "<answer>B", '{"answer": "B"}', '```json\n{"answer": "B"}\n```', "{'option': 'B'}",
    "<|begin_of_box|>B<|end_of_box|>",
    # after thinking
    "<think>\nIt may be A. But no.\n</think>\n\nB", "<think>\n\n</think>\n\nB", "It may be A. Hmm.</think>\nB", "<think>A?</think><answer>B</answer>",
    "◁think▷A?◁/think▷B", "[THINK]A?[/THINK]B", "<s> (B) frog</s>",
    "<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>",
    # other languages
    "答案是B", "正确答案是B", "答案：B", "故选B", "选B", "本题选B。", "La respuesta correcta es B", "La respuesta correcta es la B.", "La réponse est B",
    "La réponse est donc B.", "Réponse : B", "Die richtige Antwort ist B", "La risposta corretta è B", "A resposta correta é a letra B.",
    "Het juiste antwoord is B", "Ответ: B", "Правильный ответ: B", "Prawidłowa odpowiedź to B", "答えはB", "答えはBです。", "正解はBです", "정답은 B",
    "정답은 B입니다.", "Jawaban yang benar adalah B", "Đáp án đúng là B", "คำตอบคือ B", "الإجابة الصحيحة هي B", "सही उत्तर B है", "Doğru cevap B",
    # more of each
    "The correct option is B.", "Correct answer: B", "Correct option: (B) frog", "The right choice is B", "B is the correct answer.",
    "**B** is correct.", "Answer is B", "So the final answer is: B", "Final Answer: (B)", "I think the answer is B", "I believe it's B.",
    "It should be B.", "It must be (B).", "Hence, the answer: B", "Choice B", "Choose B", "Select B.", "> B", "- B", "B ✅", "Answer:\nB",
    "Answer:\n\n(B) frog", "answer: option B", "The answer would be option (B).", "\\text{B}", "\\textbf{B}", "**Correct answer: B. frog**",
    "**The correct answer is: (B) frog.**", "Therefore, the correct answer is:\n\n**B. frog**", "The answer is B) frog.",
    "Thus, the correct answer is $B$.", "the answer is 'B'.", "My final choice is B.", "The best option here is B.",
    "Based on the image, the best answer is option **B: frog**.", "After careful consideration, I would say B.", "I'd say B.", "I would go for B.",
    "Among the options, B is the best choice.", "The answer is clearly B.", "The option that matches is B.", "Answer: B (frog)", "Answer - B",
    "Answer → B", "[[B]]", "答案：B。", "答案是：B. frog", "答案是选项B", "因此，答案选B。", "我选择B。", "选项B是正确的。", "B选项正确", "B是正确答案", "正确选项为B", "本题答案为(B)",
    "所以正确答案是 **B**。", "正解：B", "正解は選択肢Bです。", "Bが正解です。", "정답: B", "답: B", "정답은 (B)입니다", "B가 정답입니다.", "Respuesta: B", "La respuesta es B) frog",
    "La opción correcta es la B.", "La respuesta correcta es la opción B.", "A resposta é B.", "Resposta: B", "A alternativa correta é B",
    "La bonne réponse est B.", "La réponse correcte est la B.", "La réponse est l'option B.", "Die Antwort ist B.", "Antwort: B",
    "Die korrekte Antwort lautet: B", "Richtig ist B.", "Die richtige Antwort ist Option B.", "B ist richtig.", "La risposta è B.", "Risposta: B",
    "Risposta corretta: B", "Правильный ответ — B.", "Ответ — B", "Верный ответ: B", "Правильный ответ: (B)", "Câu trả lời đúng là B.", "Đáp án: B",
    "Jawaban: B", "Jawabannya adalah B.", "الجواب هو B", "الإجابة: B", "Cevap: B", "Doğru cevap: B.", "उत्तर: B", "सही उत्तर है B", "Odpowiedź: B",
    "Poprawna odpowiedź to B.", "The answer is: **B**", "Answer: **B. frog**", "The frog is what eats flies.\n\nAnswer: B",
    "The frog eats flies. Therefore the answer is (B) frog, since frogs eat flies.", "Reasoning: the arrow goes to frog.\nAnswer: B.",
    "Option (B) is correct.", "The correct answer is option B.", "Looking at each: heron no, frog yes. So: B", "So the correct answer must be B.",
    "Thus the answer is choice B.", "The answer is therefore B.", "I will choose (B).", "We select B.", "I'm going with B.", "The final answer is B",
    "#### B", "Answer: B</s>", "The answer is B<|im_end|>", "B</answer>", "Answer:B", "ANSWER:(B)", "ans:B",
    '{"reasoning": "frogs eat flies", "answer": "B"}', '{"answer": "B. frog"}', '{"choice": "B"}', '{"Answer": "(B)"}', "<answer>\nB\n</answer>",
    "<answer>The answer is B.</answer>", "<answer>frog</answer>", "Final answer: \\boxed{\\textbf{B}}", "$$\\boxed{B}$$", "\\boxed{(B)}",
    "\\boxed{frog}", "\\boxed{B. frog}", "<think>A</think>\n<answer>B</answer>", "The correct answer is B: frog.", "The correct answer is (B): frog",
    "The correct letter is B.", "The answer is letter B.", "(B).", "B,", "B:", "'B'", "B) frog.", "b. frog", "B frog", "option b", "OPTION B",
    "Option B: frog", "Option B. frog", "Option (B)", "The answer is option b.", "frog.", "FROG", "A: heron? No. The correct answer is B.",
]  # fmt: skip

UNREAD = [
    "", " ", "...", "E", "The answer is E", "None of the above", "I cannot tell", "I'm sorry, I can't help.",
    # two
    "A or B", "(A) or (B)", "A and B", "A, B", "A/B", "B, C and D", "A B C D", "Both A and C", "heron or frog", "A\nB\nC",
    "The answer is A or B.", "Answer: A, B", "The answer is A. The answer is B.", "The answer is A and the answer is C.", "\\boxed{A} \\boxed{B}",
    "The answer is A. \\boxed{B}", "\\boxed{A, B}", "<answer>A or B</answer>", '{"answer": ["A", "B"]}', "A is correct. B is correct.",
    "The answer is either A or B", "The answer is (A) the first or (B) the second.", "答案是A或B", "(A) shows a heron. (B) shows a frog.",
    "A: the heron is big. B: the frog is green.", "A. heron\nB. frog\nC. fish\nD. snail", "Answer: A. heron\nB. frog\nC. fish",
    # denied, doubted, supposed, asked, taken back
    "not A", "The answer is not B.", "I don't think the answer is B", "Neither A nor B.", "C is not correct", "Answer: not B", "It may be B", "Maybe B.",
    "Perhaps the answer is B", "The answer could be B.", "If the answer is A, then it flies.", "Is it B?", "B?", "A? No. B?",
    "The answer is B. Wait, no.", "The answer is B. Actually, it's A.", "The answer is B, but I'm not sure.", "不选B", "答案不是B",
    "La respuesta no es B", "Die Antwort ist nicht B", "La réponse n'est pas B", "Ответ не B", "答えはBではない", "정답은 B가 아닙니다",
    # an article, a name, a mention
    "A cat sits", "A dog", "A heron is there", "A frog", "The answer is A dog.", "A-frame", "D-Day", "B-52 bomber", "A.M.", "B.C. 200", "I",
    "Option A shows a heron", "I considered (A), but that is incorrect.", "The picture shows frogs eating flies, a heron.",
    "Answer with the option's letter from the given choices directly.", "Ответ: В",  # Cyrillic, the third letter there
    # not finished, or nothing in the mark
    "<think>B", "<think>The answer is B", "B <think>or is it", "<answer></answer>", "<|channel|>analysis<|message|>B",
    # more of each
    "The answer is B or maybe C", "B and C are both correct", "It's either B or C", "I would say A or B", "Not A, maybe B", "A is wrong",
    "It is not B.", "B is not the answer", "The answer isn't B", "Answer: None", "Answer: unknown", "B, no wait, C", "First I thought B. But C.",
    "Is the answer B or C?", "The answer: A B", "A; B", "A & C", "(A)(D)", "AB", "Answer: AB", "ABCD", "A→B", "B/C", "Answer: A/B", "Could be B",
    "Possibly B.", "Either B or C is correct.", "Both B and C are correct.", "The answer is not A. It is not B either.", "None of these",
    "I am unable to answer.", "As an AI, I can't see", "A picture of a frog", "A large frog sits here.", "An answer cannot be given.",
    "Choices: A, B, C, D", "The options are A. heron, B. frog, C. fish, D. snail.", "Options: (A) heron (B) frog (C) fish (D) snail",
    "If it were B, the arrow would point up.", "Unless the answer is B, this fails.", "The answer may be B.", "Why is the answer B?",
    "I doubt that the answer is B.", "It is unlikely that the answer is B.", "The answer can't be B", "The answer cannot be B.",
    "It's not clear whether the answer is B.", "B is incorrect.", "B is wrong.", "Option B is not correct.", "The answer is neither A nor B.",
    "<answer>A</answer><answer>B</answer>", "\\boxed{A}\nThe answer is B.", "A\n\nB", "B\n\nThe answer is C.", "答案可能是A或B", "不是B", "B不正确", "B是错的",
    "La respuesta no es B.", "No es B", "Ce n'est pas B", "Nicht B", "Не B", "Bではない", "B가 아니다", "<think>B</think>", "<think></think>",
    "<think>A</think>\n\n<think>B", "Answer: ?", "Answer: Z", "Answer: 5", "Vitamin B is shown", "Hepatitis B", "Group A, group B",
    "Point A is left of point B.", "a b", "Answer: I don't know", "The answer is a frog or a fish.", "heron, frog",
    "The answer is heron. The answer is frog.", "The answer is (B) fish.", "B. fish",
]  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_what_says_b_is_b(text: str) -> None:
    assert read_option(text, POND) == "B"


@pytest.mark.parametrize("text", UNREAD)
def test_what_says_no_single_option_is_unread(text: str) -> None:
    assert parse_option(text, POND) is None


def test_an_unread_answer_has_a_reason() -> None:
    assert read_option("<think>B", POND) == THINKS_TO_THE_END
    assert "two" in read_option("Answer: A or B", POND).reason  # type: ignore[union-attr]


def test_a_letter_is_a_letter_also_where_an_option_reads_like_it() -> None:
    labels = {"A": "E", "B": "A", "C": "D", "D": "F"}  # letters in a diagram, as AI2D's are
    assert parse_option("D", labels) == "D"
    assert parse_option("C. D", labels) == "C"
    assert parse_option("The answer is C. D", labels) == "C"


def test_options_that_hold_other_letters() -> None:
    choices = {"A": "neither B nor C", "B": "vitamin C", "C": "A and B", "D": "none of the above"}
    for letter, option in choices.items():
        for text in (option, f"{letter}. {option}", f"The answer is ({letter}) {option}."):
            assert parse_option(text, choices) == letter, text
    assert parse_option("No", {"A": "Yes", "B": "No"}) == "B"
    assert parse_option("The answer is (B) no.", {"A": "Yes", "B": "No"}) == "B"
    assert parse_option("Yes, there is a dog.", {"A": "Yes", "B": "No"}) == "A"
    assert parse_option("Yes, there is a dog.", {"A": "Yes", "B": "No", "C": "Cannot tell"}) is None
    assert parse_option("Yes and no.", {"A": "Yes", "B": "No"}) is None


TEMPLATES = [
    "{L}", "({L})", "{L}.", "{L}. {t}", "({L}) {t}", "{L}: {t}", "{L} - {t}", "**{L}**", "Answer: {L}", "The answer is {L}.", "The correct answer is ({L}).",
    "The correct answer is ({L}) {t}.", "Final answer: {L}", "\\boxed{{{L}}}", "<answer>{L}</answer>", '{{"answer": "{L}"}}', "So the answer is {L}.",
    "答案是{L}", "La respuesta correcta es {L}", "Die richtige Antwort ist {L}.", "La réponse est {L}.", "Ответ: {L}", "答えは{L}です", "정답은 {L}입니다",
    "<think>\nIs it {M}? Maybe {M}.\n</think>\n\n{L}", "I considered ({M}), but it does not fit. Final answer: {L}.", "Option {L} is correct.",
]  # fmt: skip
CONTRADICTIONS = [
    "{L} or {M}", "The answer is {L}. The answer is {M}.", "Answer: {L}, {M}", "\\boxed{{{L}}} and \\boxed{{{M}}}", "{L}\n\nThe answer is {M}.",
    "Option {L} is correct. Option {M} is correct.", "<answer>{L}</answer> <answer>{M}</answer>", "The answer is either {L} or {M}.", "{L}/{M}",
    "Answer: {L}\nAnswer: {M}", "The answer is not {L}.", "<think>{L} or {M}", "The answer is {L}. \\boxed{{{M}}}", "答案是{L}。答案是{M}。",
]  # fmt: skip
NOISE = [
    "",
    "Looking at the picture, there are things. ",
    "Let me see.\n\n",
    "The picture shows 3 boats, of which 2 are red. ",
    "🙂 ",
    "First, the arrows.\nThen the pond.\n",
]
WORDS = st.text(string.ascii_lowercase, min_size=3, max_size=9)
OPTIONS = st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), min_size=2, max_size=10, unique=True)


@settings(max_examples=300, deadline=None)
@given(OPTIONS, st.data(), st.sampled_from(TEMPLATES), st.sampled_from(NOISE), st.sampled_from(["", " ", "\n", "</s>"]))
def test_any_option_in_any_phrasing(
    options: list[str], data: st.DataObject, template: str, before: str, after: str
) -> None:
    choices = dict(zip(string.ascii_uppercase, options, strict=False))
    letter, other = data.draw(st.permutations(sorted(choices)))[:2]
    said = template.format(L=letter, M=other, t=choices[letter])
    alone = not any(
        word in template
        for word in ("nswer", "orrect", "boxed", "答", "respuesta", "réponse", "Ответ", "정답", "think")
    )
    if alone and before and not before.endswith("\n"):
        before = ""  # a letter in the middle of a line announces nothing
    assert parse_option(before + said + after, choices) == letter, before + said


@settings(max_examples=300, deadline=None)
@given(OPTIONS, st.data(), st.sampled_from(CONTRADICTIONS), st.sampled_from(NOISE))
def test_contradictions_stay_unread(options: list[str], data: st.DataObject, template: str, before: str) -> None:
    choices = dict(zip(string.ascii_uppercase, options, strict=False))
    letter, other = data.draw(st.permutations(sorted(choices)))[:2]
    said = ("" if template.startswith("{L}") else before) + template.format(L=letter, M=other)
    assert parse_option(said, choices) is None, said


def test_every_pair_of_ten_letters_in_every_phrasing() -> None:
    choices = {letter: letter.lower() * 3 for letter in "ABCDEFGHIJ"}
    for letter, other in itertools.permutations(choices, 2):
        for template in TEMPLATES:
            said = template.format(L=letter, M=other, t=choices[letter])
            assert parse_option(said, choices) == letter, said
        for template, before in itertools.product(CONTRADICTIONS, NOISE[::2]):
            said = ("" if template.startswith("{L}") else before) + template.format(L=letter, M=other)
            assert parse_option(said, choices) is None, said


FRAGMENTS = st.sampled_from(
    ["A", "B", "(C)", "answer", " is ", ": ", "\n", "The ", "<think>", "</think>", "\\boxed{", "}", "<answer>", "or", "not ", "選", "答案是", "**", "?", ". ",
     "frog", "a ", '{"answer": "', "[[", "((", "\ud800", "İ", "ẞ", "１"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(FRAGMENTS, max_size=30).map("".join)), OPTIONS)
def test_no_text_makes_it_raise(text: str, options: list[str]) -> None:
    choices = dict(zip(string.ascii_uppercase, options, strict=False))
    assert parse_option(text, choices) in (None, *choices)


@pytest.mark.parametrize(
    "piece",
    ["the answer is ", "A ", "(A) ", "<think>", "\\boxed{", "answer to the question that ", "option ", "{", "is ", "so ", "*", "\n", "A. x\n", "“", "答案", "i have "],
)  # fmt: skip
def test_long_answers_take_no_time(piece: str) -> None:
    started = time.perf_counter()
    parse_option(piece * 4000, POND)
    assert time.perf_counter() - started < 5

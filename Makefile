# Lumenair. A fresh machine needs Python 3.11 or newer, pip and make; every target does its own set-up.
PYTHON ?= python3
BIN    := .venv/bin
ARGS   ?=
JOBS   ?= 2
export PYTHONPATH := firmware:.

.DEFAULT_GOAL := help
.PHONY: help setup demo test hil powercut check fmt lint types layers sizes gen gen-check bench fuzz apt clean

help:  ## what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: .venv/.ready  ## create .venv from the hash-locked requirements

.venv/.ready: requirements.lock pyproject.toml tools/setup.sh
	@PYTHON="$(PYTHON)" sh tools/setup.sh

typings/.ready: typings.lock .venv/.ready
	@rm -rf typings && $(BIN)/python -m pip install --quiet --require-hashes --no-deps --target typings -r typings.lock && touch $@

demo: .venv/.ready  ## six real MicroPython nodes report to a real broker and store; ARGS="--once --json out.json"
	@$(BIN)/python -m tools.demo $(ARGS)

test: .venv/.ready apt  ## every test that needs no board; ARGS="-k name" picks some
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

hil: .venv/.ready  ## the HIL suites on a bench of virtual boards; report in build/hil; ARGS="--short"
	@$(BIN)/python -m tools.virtual_bench $(ARGS)

powercut: .venv/.ready  ## cut the power within every flash operation, thousands of times; ARGS="--json out.json"
	@$(BIN)/python -m tools.powercut $(ARGS)

apt: .venv/.ready
	@sh tools/apt.sh

check: lint types layers sizes gen-check  ## format, lint, types, layers, sizes, generated files

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tools.limits

types: .venv/.ready typings/.ready
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini

layers: .venv/.ready
	$(BIN)/lint-imports

sizes: .venv/.ready
	$(BIN)/python -m tools.size

gen: .venv/.ready  ## write the generated pages and vectors anew
	$(BIN)/python -m tools.tables
	$(BIN)/python -m tools.vectors
	$(BIN)/python -m tools.cli_docs

gen-check: .venv/.ready
	$(BIN)/python -m tools.tables --check
	$(BIN)/python -m tools.vectors --check
	$(BIN)/python -m tools.cli_docs --check

fmt: .venv/.ready  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.ready  ## every benchmark, one JSON line each; an hour, most of it for ten thousand nodes
	@for bench in tools/bench_*.py; do $(BIN)/python -m tools.$$(basename $$bench .py) || exit 1; done

fuzz: .venv/.ready  ## a million inputs for each parser, an hour or more; ARGS="--runs 20000 --seed 7"
	@$(BIN)/python -m tools.fuzz all --runs 1000000 $(ARGS)

clean:  ## remove everything that was built
	rm -rf .venv typings build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

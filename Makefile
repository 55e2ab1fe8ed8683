# `make help` lists what there is. Everything lives in .venv/ of this clone; delete it to start afresh.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo serve test quick torture lint format bench pictures reference lock clean

PYTHON ?= python3
BIN := .venv/bin
UPGRADE ?= --upgrade
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PLATFORM := $(shell uname -s)-$(shell uname -m)
# Training needs TensorFlow 2.15, which there is for Python 3.11 (the lock: on x86-64 Linux); elsewhere its tests are
# skipped by name.
DEV := $(if $(filter 3.11-Linux-x86_64,$(VERSION)-$(PLATFORM)),train,dev)
# Processes that run tests side by side.
WORKERS ?= auto
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# The demo's catalog is served when there is no other, so that `make demo && make serve` shows it.
SERVED := $(or $(CATALOG_DATA),$(if $(wildcard catalog-data),catalog-data,$(if $(wildcard demo-data),demo-data,catalog-data)))

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/serve ## Fill an empty catalog through the real server, recognize photos, write a report
	@$(BIN)/python -m catalog.demo

serve: .venv/serve ## Serve the admin pages and the POS API on http://localhost:8000
	@CATALOG_DATA=$(SERVED) $(BIN)/catalog serve $(ARGS)

test: .venv/dev ## Run every test; what this machine lacks is skipped by name
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

quick: .venv/dev ## Run the tests that take moments: without PostgreSQL, trainings, kills and browsers
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m "not slow and not postgres" $(ARGS)

torture: .venv/dev ## Kill, contend and draw random sequences; MINUTES=15, SEED=... repeats one
	$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),15) $(if $(SEED),--seed $(SEED))

lint: .venv/dev ## Style, imports and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: .venv/dev ## Let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev ## Measure serving, then embedding, decoding and a gallery against their peers
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/pos_load.py
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/gallery.py

pictures: .venv/dev ## Take the pictures of the docs anew
	$(BIN)/python benchmarks/screenshots.py

reference: .venv/dev ## Make what follows from the API anew: its reference in the docs, and what its client answers
	$(BIN)/python -m web.api.reference docs/api-reference.md
	$(BIN)/python -m web.api.client_models catalog/client/models.py

lock: .venv/dev ## Pin the newest versions that pyproject.toml allows, with hashes
	$(call compile,serve,--universal -c requirements/constraints.in)
	$(call compile,docker,--universal -c requirements/constraints.in --extra postgres --extra celery --extra s3 --extra map)
	$(call compile,dev,--universal -c requirements/constraints.in --extra dev --extra postgres --extra celery --extra s3 --extra map)
	$(call compile,train,-c requirements/constraints.in --python-platform x86_64-manylinux_2_28 --extra dev --extra postgres --extra celery --extra s3 --extra map --extra train)
	$(BIN)/uv pip compile --quiet $(UPGRADE) --python-version 3.11 --generate-hashes --no-header --no-annotate --universal \
	  requirements/build.in -o requirements/build.txt

clean: ## Remove the environment and the demo's data; your own catalog-data stays
	rm -rf .venv demo-data

define compile
$(BIN)/uv pip compile --quiet $(UPGRADE) --python-version 3.11 --generate-hashes \
  --no-header --no-annotate pyproject.toml $(2) -o requirements/$(1).txt
endef

# An environment that has all is good for serving, too: the second file is then only a mark.
.venv/serve: requirements/serve.txt pyproject.toml
	@test -x $(BIN)/python || { echo "Setting up .venv ..."; $(PYTHON) -m venv .venv; }
	@test -e .venv/dev || $(PIP) install --require-hashes -r requirements/serve.txt
	@$(PIP) install --no-deps -e .
	@touch $@

.venv/dev: requirements/$(DEV).txt pyproject.toml
	@test -x $(BIN)/python || { echo "Setting up .venv ..."; $(PYTHON) -m venv .venv; }
	@echo "Installing requirements/$(DEV).txt ..."
	@$(PIP) install --require-hashes -r requirements/$(DEV).txt
	@$(PIP) install --no-deps -e .
	@touch $@ .venv/serve

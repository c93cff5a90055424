# `make` prints what there is to do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo demo-cluster serve check check-more test bench bench-scale fuzz faults docs lock format clean

python := .venv/bin/python
pytest := $(python) -m pytest

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## make .venv with the locked dependencies and fetch the browser's parts (again: nothing to do)
	@bash tools/setup.sh

setup-test: setup
	@bash tools/debian.sh test

demo: setup ## start a whole region with invented people, and print where and as whom to log in
	@bash tools/debian.sh demo
	@.venv/bin/samsyn demo $(ARGS)

demo-cluster: setup ## the region on two nodes with PostgreSQL and an object store; one node is killed meanwhile
	@.venv/bin/samsyn demo-cluster $(ARGS)

serve: setup ## start Samsyn alone, empty, with the settings' defaults
	@.venv/bin/samsyn serve $(ARGS)

# Rooms whose tests need no server.
units := $(addprefix tests/,house wire dicom hl7v2 patients reports audit jobs ingest tools)

check: setup ## before every commit: style, types, architecture, licences, house rules, unit tests (under a minute)
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo
	@$(python) -m tools.licences
	@HYPOTHESIS_PROFILE=quick $(pytest) -q -n 2 -m "not slow and not browser and not peer" $(units) $(ARGS)

check-more: setup ## every test that starts no program, no browser and takes a second at most (some minutes)
	@HYPOTHESIS_PROFILE=quick $(pytest) -q -n 2 -m "not slow and not browser and not peer" $(ARGS)

test: setup-test ## everything: checks, unit tests, foreign programs, browser, PostgreSQL, kill -9 (some half an hour)
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo
	@$(python) -m tools.licences
	@$(pytest) -q -n 2 --dist loadfile --max-worker-restart=1 $(ARGS)

bench: setup-test ## measure against Orthanc and DCMTK on this machine, and print a table
	@$(python) -m bench $(ARGS)

bench-scale: setup ## a million studies: are search, storing and making the index anew still as quick (half an hour, 10 GB)
	@$(python) -m bench.scale $(ARGS)

fuzz: setup ## a million broken PDUs and messages, 100,000 HTTP requests, property tests with many examples (half an hour)
	@HYPOTHESIS_PROFILE=fuzz $(pytest) -q -n 2 -m hypothesis $(ARGS)

faults: setup-test ## faults at length: 200 × kill -9, lost answers, failing disks (half an hour)
	@SAMSYN_KILL_CYCLES=200 SAMSYN_STOP_CYCLES=20 SAMSYN_LOST_ANSWERS=1000 SAMSYN_TOGETHER_ROUNDS=100 \
	    $(pytest) -q tests/faults $(ARGS)

docs: setup ## write the reference (limits, errors, settings) to build/docs and check the links
	@$(python) -m tools.docs

lock: ## compile the lock files again (needs uv)
	@uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	    --custom-compile-command 'make lock' -o requirements.lock requirements.in
	@uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	    --custom-compile-command 'make lock' -c requirements.lock -o requirements-dev.lock requirements-dev.in

format: setup ## put the code into its form
	@.venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format --quiet .

clean: ## remove what was built (not .venv)
	@rm -rf build dist src/samsyn/static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

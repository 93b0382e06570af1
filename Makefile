# make run    listen with defaults that always do something real
# make test   every test, with the real servers they need
# make check  format, lint, types, layering
# make bench  speed and memory on this machine
# make drill  every fault that a source can have, against the real daemon; 100 kills, a fleet of 200, outages, a full disk
# make soak   a day of sound at full speed
#
# run and test do their own set-up: virtual environment, packages and, where they may (root or passwordless sudo),
# the system packages that are missing.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PYTHONUNBUFFERED := 1

.PHONY: run test check format bench drill soak clean

run: $(VENV)/.demo
	@$(BIN)/genrewatch listen

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/genrewatch bench
	$(BIN)/python -m tests.benchmarks.front_end

drill: $(VENV)/.dev
	$(BIN)/genrewatch drill
	$(BIN)/genrewatch drill --kills 100 --fleet 200 --outages 2 --disk

soak: $(VENV)/.dev
	$(BIN)/genrewatch drill --soak 24

$(VENV)/.demo: pyproject.toml deploy/system_packages.sh
	@sh deploy/system_packages.sh libportaudio2 ffmpeg
	@sh deploy/virtual_environment.sh "$(PYTHON)" "$(VENV)" demo
	@touch $@

$(VENV)/.dev: pyproject.toml deploy/system_packages.sh
	@sh deploy/system_packages.sh libportaudio2 ffmpeg mosquitto mosquitto-clients icecast2
	@sh deploy/virtual_environment.sh "$(PYTHON)" "$(VENV)" demo,train,dev
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

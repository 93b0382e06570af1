# make run    listen with defaults that always do something real
# make test   the tests, with the real servers they need; `make test-slow` those that are played at length
# make check  format, lint, types, layering
# make docs   the documentation as a site in site/, strict about dead links
# make docs-reference         docs/reference/ and deploy/genrewatch.toml, from the code
# make test-wheel PYTHON=...  the tests against the installed wheel, for another Python
# make release-check          version, changelog, wheel and sdist; the wheel in an empty environment
# make packages-check         each way of installing, from a clean Debian tree to a verdict on a broker (root)
# make bench  speed and memory on this machine
# make drill  every fault that a source can have, against the real daemon; 100 kills, a fleet of 200, outages, a full disk
# make soak   a day of sound at full speed
#
# Tests that fail beside others are run once more alone, since many wait for real servers; what fails then counts.
#
# run and test do their own set-up: virtual environment, packages and, where they may (root or passwordless sudo),
# the system packages that are missing.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 3
BY_FILE := --dist loadfile --no-loadscope-reorder
ALONE := --last-failed --last-failed-no-failures none
WHEEL_TESTS ?= $(addprefix tests/,api audio contract host inference programme)
WAYS ?= install_script python_tools
BIN := $(VENV)/bin
export PYTHONUNBUFFERED := 1

.PHONY: run test test-slow test-wheel check format bench drill soak docs docs-reference release-check packages-check clean

run: $(VENV)/.demo
	@$(BIN)/genrewatch listen

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) $(BY_FILE) || $(BIN)/python -m pytest $(ALONE)

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) $(BY_FILE) -m slow || $(BIN)/python -m pytest $(ALONE) -m slow

test-wheel: $(VENV)/.dev
	sh deploy/test_wheel.sh "$(PYTHON)" "$(VENV)" .venv-wheel -n $(WORKERS) $(BY_FILE) $(WHEEL_TESTS)

release-check: $(VENV)/.dev
	sh deploy/release_check.sh "$(PYTHON)" "$(VENV)"

packages-check:
	@sh deploy/system_packages.sh mmdebstrap mosquitto mosquitto-clients || true
	@sh deploy/test/packages_check.sh $(WAYS)

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

docs: $(VENV)/.docs
	$(BIN)/python -m docs.scripts.reference --check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-reference: $(VENV)/.docs
	$(BIN)/python -m docs.scripts.reference

$(VENV)/.demo: pyproject.toml deploy/system_packages.sh
	@sh deploy/system_packages.sh libportaudio2 ffmpeg
	@sh deploy/virtual_environment.sh "$(PYTHON)" "$(VENV)" demo
	@touch $@

$(VENV)/.dev: pyproject.toml deploy/system_packages.sh
	@sh deploy/system_packages.sh libportaudio2 ffmpeg mosquitto mosquitto-clients icecast2 chromium prometheus
	@sh deploy/virtual_environment.sh "$(PYTHON)" "$(VENV)" demo,train,dev
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml
	@sh deploy/virtual_environment.sh "$(PYTHON)" "$(VENV)" docs
	@touch $@

clean:
	rm -rf $(VENV) .venv-wheel .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist site

# Farmgate on a machine that has only Python 3.11 (or 3.12) with venv, and make. `make help` lists what there is.

# Which Python makes .venv: `make install PYTHON=/path/to/python3.12` overrules the search.
PYTHON ?=
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
REQUIREMENTS := requirements/build.txt requirements/runtime.txt requirements/dev.txt
PIP_TOOLS := pip-tools==7.6.2

# The stamp is made last, so whoever sees it sees a whole .venv. The mark is made first, and holds the process
# that installs: a mark whose process is gone says that .venv is half made.
STAMP := $(VENV)/.installed
MARK := $(VENV)/.installing

SERIAL := e2e or simulation
FAST := not e2e and not simulation and not slow
BENCH_WORKLOAD ?= epcis
BENCH_SECONDS ?= 20
SIM_SEEDS ?= 1-8
SIM_LONG_SEEDS ?= 1-160
SIM_JOBS ?= 2
CHAOS ?=
CHAOS_SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench sim sim-long mutants golden chaos lock

help:  ## Say in one line what each target does
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name line; do \
		printf '  make %-8s %s\n' "$$name" "$$line"; done

install: $(STAMP)  ## Make .venv with every pinned package and the two commands, or bring it up to date

# A .venv that is missing or half made is made anew; one that only lags behind the requirements is brought up to date.
$(STAMP): $(REQUIREMENTS) pyproject.toml
	@set -e; \
	if [ -e $(MARK) ] && kill -0 "$$(cat $(MARK))" 2>/dev/null; then \
		echo "install: another 'make install' (process $$(cat $(MARK))) is at work in $(VENV): wait for it, or remove $(MARK)" >&2; exit 1; fi; \
	if [ -e $(MARK) ] || ! $(PIP) --version >/dev/null 2>&1; then \
		python=; for each in $(PYTHONS); do \
			if "$$each" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
				2>/dev/null; then python="$$each"; break; fi; done; \
		if [ -z "$$python" ]; then \
			echo "install: no Python 3.11 or 3.12 with venv and ensurepip among:" $(PYTHONS) >&2; \
			echo "install: install one, or name it: make install PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
		echo "install: making $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV); fi; \
	echo $$$$ > $(MARK); \
	echo "install: pinned packages, each checked against its hash (about a minute the first time)"; \
	$(PIP) install --quiet --require-hashes --only-binary :all: $(addprefix -r ,$(REQUIREMENTS)); \
	$(PIP) install --quiet --no-build-isolation --no-deps --editable .; \
	mv $(MARK) $@; \
	echo "install: done; the commands are $(BIN)/farmgate and $(BIN)/ledger-node"

demo: install  ## Start four validators, play the story from farm to shop, trace it; Ctrl-C stops them
	@$(BIN)/farmgate demo

# The second run happens even when the first one found failures: a red unit test must not hide a red network.
test: install  ## Run every test: the quick ones on two processes, then real networks and simulations one by one
	@status=0; \
	$(PYTEST) -n 2 -m "not ($(SERIAL))" || status=$$?; \
	$(PYTEST) -m "$(SERIAL)" || status=$$?; \
	exit $$status

check: install  ## Lint, formatting, strict types and the fast tests: what must be green before a commit
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(PYTEST) -q -n 2 -m "$(FAST)"

bench: install  ## Measure a local network as JSON; BENCH_WORKLOAD=epcis BENCH_SECONDS=20
	@$(BIN)/farmgate bench run --workload $(BENCH_WORKLOAD) --validators 4 --seconds $(BENCH_SECONDS) --json

sim: install  ## Every scenario of the simulator, about five minutes on two processes; SIM_SEEDS=1-8 SIM_JOBS=2
	@$(BIN)/farmgate sim campaign --seed $(SIM_SEEDS) --jobs $(SIM_JOBS)

sim-long: install  ## The same with more than 20,000 runs, for an hour; SIM_LONG_SEEDS=1-160 SIM_JOBS=2
	@$(BIN)/farmgate sim campaign --seed $(SIM_LONG_SEEDS) --jobs $(SIM_JOBS)

mutants: install  ## Plant each known bug of agreement in turn: the simulator must find them all
	@$(BIN)/farmgate sim mutants --jobs $(SIM_JOBS)

golden: install  ## Freeze all encodings anew, after a change of the protocol that is meant
	@$(BIN)/python -m tests.golden

chaos: install  ## Break a network of real processes in every way there is, and check it; CHAOS=links CHAOS_SEED=1
	@$(BIN)/farmgate chaos run --seed $(CHAOS_SEED) $(addprefix --only ,$(CHAOS))

# A throwaway virtual environment, so that the tool that pins is not itself among what is pinned. The lines that
# begin with `--` tell where this machine gets its packages from, which is nobody else's business.
lock: install  ## Pin requirements/*.in anew into requirements/*.txt, with hashes (add LOCK=--upgrade for newer versions)
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(BIN)/python -m venv "$$tools"; "$$tools/bin/python" -m pip install --quiet $(PIP_TOOLS); \
	for name in build runtime dev; do echo "lock: requirements/$$name.txt"; \
		"$$tools/bin/pip-compile" --quiet $(LOCK) --generate-hashes --allow-unsafe --strip-extras --no-header \
			--no-annotate --output-file "requirements/$$name.txt" "requirements/$$name.in"; \
		sed -i -e '/^--/d' -e '/^$$/d' "requirements/$$name.txt"; done

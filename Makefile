# Two commands: `make book` builds and verifies the book, `make test` runs everything that continuous integration runs.
# Both set up `.venv` first. The recipes only call `specseg`, pytest and ruff; nothing is implemented here.
SHELL := /bin/bash
PYTHON ?= python3
PROFILE ?= smoke
CH ?=
JOBS ?= 2
# Of the tests: one more than jobs, since some only wait for Slurm, for cells that pause and for processes that end.
WORKERS ?= $(shell echo $$(( $(JOBS) + 1 )))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup browser slurm book chapter accept test test-portable test-slurm lint unit serve bench clean distclean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo "variables: PROFILE=smoke|standard|paper, CH=NN (chapter), PYTHON=python3.11 or newer, JOBS=2"

# The stamp is written last: a set-up that was interrupted is done again, over what is already there.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed; $(PYTHON) is {v[0]}.{v[1]} (make PYTHON=python3.12)")'
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[train,book,test]'
	@touch $(STAMP)

setup: $(STAMP) ## make .venv and install everything with pinned versions

browser: ## Chromium for the page tests (installed by apt-get where that is allowed)
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else echo "no Chromium found: the page tests will be skipped; install your system's package 'chromium'"; fi; }

book: setup ## execute the chapters, build and verify the book (PROFILE=smoke)
	@$(BIN)/specseg book --profile $(PROFILE) --jobs $(JOBS)

slurm: ## Slurm for the test of its launcher (installed by apt-get where that is allowed)
	@PATH="$$PATH:/usr/sbin"; command -v slurmctld slurmd sbatch munged >/dev/null && exit 0; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >/dev/null && exit 0; fi; \
	  echo "no Slurm found: its tests will be SKIPPED; install your system's packages 'slurm-wlm' and 'munge'"

chapter: setup ## run one chapter: make chapter CH=30 PROFILE=smoke
	@$(BIN)/specseg chapter "$(CH)" --profile $(PROFILE)

accept: setup ## show the difference to the accepted facts of a profile and accept the new ones
	@$(BIN)/specseg ledger accept --profile $(PROFILE)

lint: setup ## ruff: lint and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check -q .

unit: setup ## unit tests without the book's own
	@$(BIN)/python -m pytest -n $(JOBS) -m "not browser and not book and not slurm"

# The chapters under other kernels get what the book leaves of the processor while it starts and while Sphinx works.
test: setup browser slurm lint ## everything that continuous integration needs
	@nice -n 19 $(BIN)/specseg ledger portable --jobs $(JOBS) --setting "default kernels" --only 30 --only 35 --only 50 & \
	  other=$$!; $(BIN)/specseg book --profile smoke --jobs $(JOBS) --drift fail; built=$$?; wait $$other && exit $$built
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-portable: setup ## the same facts and verdicts under other kernels, threads and instruction sets (10 minutes)
	@$(BIN)/specseg ledger portable --jobs $(JOBS)

test-slurm: setup slurm ## a sweep on a real Slurm: two nodes on this machine, jobs killed, a node lost (3 minutes)
	@$(BIN)/python -m pytest -n $(JOBS) -m slurm tests/sweep/test_slurm.py

serve: setup ## serve the built book on http://localhost:8000
	@test -f _build/html/index.html || { echo "no book yet: run 'make book' first"; exit 1; }
	@cd _build/html && ../../$(BIN)/python -m http.server 8000

bench: setup ## speed against peers, as ratios
	@for f in bench/bench_*.py; do $(BIN)/python $$f || exit 1; done

clean: ## remove what was built; keeps .venv
	@rm -rf _build book/chapters book/_generated .pytest_cache .ruff_cache .hypothesis

distclean: clean ## remove .venv too
	@rm -rf $(VENV) lib/specseg.egg-info

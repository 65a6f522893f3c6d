# A fresh machine needs Python 3.10-3.13, make, and one of these: `make demo` or `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test check audit sbom lock clean
.DEFAULT_GOAL := demo

demo: $(STAMP)
	rm -rf demo
	$(BIN)/edgeres demo --out demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "slow or not slow" -n 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive edgeres converters targets cli.py

# Asks a public database about every locked package: needs the network. Exceptions are in .ci/audit-exceptions.txt.
audit: $(STAMP)
	$(BIN)/python .ci/audit.py

# What a release consists of, as CycloneDX, from the lock file alone.
sbom: $(STAMP)
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-file dist/edgeres.cdx.json

# Installed once for each state of the lock file and of the project's own metadata. The lock names everything that is
# needed: pip need not resolve it, which it cannot where a dependency asks for another's extra.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "edgeres needs Python 3.10 to 3.13, found %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Written anew with uv, for every supported Python at once; no index address goes into the file.
lock:
	uv pip compile pyproject.toml --extra all --group dev --universal --python-version 3.10 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --no-emit-package edgeres --output-file requirements.lock

clean:
	rm -rf $(VENV) demo build dist

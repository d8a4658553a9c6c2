# Commands for users and contributors. Each needs Python 3.11 or newer, make and a package registry.
# `test`, `test-slow` and `docs` also need Node 20.19 or newer; `demo` fetches Node if there is none.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The pinned versions are tested together; torch 2.13.0 has a CPU-only build.
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest

# Sources of the explorer's pages; the installation builds them if they changed.
WEB := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/tests/*')

.PHONY: demo docs test test-slow test-versions lint kernels bench lock licences sbom clean web

$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py $(WEB)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --quiet torch==2.13.0
	$(PIP) --quiet -e '.[all]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) --quiet -e '.[all,dev,docs]'
	@touch $@

demo: $(VENV)/installed ## install, fetch two small models, build an atlas, show look-alikes
	$(BIN)/motifs demo

web: ## build the explorer's pages if their sources changed
	$(PYTHON) web/build_pages.py

# The build of the pages installs these packages too. KaTeX renders the formulas of the documentation.
web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --ignore-scripts --no-audit --no-fund --fetch-retries 1
	@touch $@

docs: $(VENV)/installed-dev web/node_modules/.package-lock.json ## build the documentation site; a warning is an error
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html
	@echo "The site: docs/_build/html/index.html"

lint: $(VENV)/installed-dev
	$(BIN)/ruff check src tests benchmarks examples docs/*.py docs/extensions web hatch_build.py
	$(BIN)/ruff format --check src tests benchmarks examples docs/*.py docs/extensions web hatch_build.py
	$(BIN)/mypy

# Runs again only if a source of the pages, a test of them or a pin changed.
web/node_modules/checked: web/node_modules/.package-lock.json $(shell find web -type f -not -path '*/node_modules/*')
	cd web && npm run lint && npm test
	@touch $@

# On one core, while mypy and the tests of the pages take the other; else each test process compiles them.
kernels: $(VENV)/installed-dev
	$(BIN)/python tests/compile_kernels.py

test: $(VENV)/installed-dev ## what a contributor needs before a commit: lint, types and the quick tests
	$(MAKE) --jobs=2 --output-sync=target kernels lint web/node_modules/checked
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(VENV)/installed-dev ## tests that take minutes: kills at random moments, the demo
	$(PYTEST) -m slow

# VERSIONS=lowest or VERSIONS=3.13 runs one of them.
test-versions: $(VENV)/installed-dev ## the core's tests with other Python versions, and the lowest versions of pyproject.toml
	$(BIN)/python tests/other_versions.py $(VERSIONS)

bench: $(VENV)/installed-dev
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

$(VENV)/installed-supply: $(VENV)/installed
	$(PIP) --quiet -e '.[supply]'
	@touch $@

lock: $(VENV)/installed-supply ## write requirements.lock: all dependencies of users, for any platform, with digests
	echo hatchling | $(BIN)/uv pip compile pyproject.toml - --extra all --constraint constraints.txt --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --output-file requirements.lock

licences: $(VENV)/installed-supply ## list the licence of every installed package, then of those of the explorer's pages
	$(BIN)/pip-licenses --from=mixed --order=license --format=plain
	node -p "Object.entries(require('./web/package-lock.json').packages).filter(([path]) => path).map(([path, { version, license }]) => [path.replace(/.*node_modules./, ''), version, license].join('  ')).join('\n')"

sbom: $(VENV)/installed-supply web/node_modules/.package-lock.json ## write what a build consists of, as CycloneDX: dist/python.cdx.json, dist/pages.cdx.json
	mkdir -p dist
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --mc-type library --output-reproducible --output-file dist/python.cdx.json
	cd web && npm sbom --sbom-format cyclonedx --package-lock-only > ../dist/pages.cdx.json

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

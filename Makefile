# make demo    the whole story on a rendered street, in about ten minutes on two CPU cores
# make test    the tests; `make test-light` only those that compile no network
# make test-newest   some tests with the newest versions, under Python 3.13
# make check   lint, format, types, lines of pages, and the schemas of YAML files
# make docs    the documentation site, into site/, and a check of its links
# make dist    the wheel and the source distribution, into dist/, and a check of both
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
# What the demo needs, and what the tests and checks need besides.
RUNTIME := $(VENV)/.installed
ALL := $(VENV)/.installed-all
LIGHT := $(VENV)/.installed-light
NEWEST := .venv-newest
DOCS := $(VENV)/.installed-docs
# What runs on a machine without accelerators, `fork` or much time: arrays in, arrays out.
LIGHT_TESTS := tests/geometry tests/losses tests/views
# What runs with the newest versions: besides, networks of little to compile, a run and the exports.
PYTHON_NEWEST ?= python3.13
# Empty: what is newest today.
CONSTRAINTS_NEWEST ?= constraints-3.13.txt
NEWEST_TESTS := $(LIGHT_TESTS) tests/models/test_blocks.py tests/models/test_norm.py \
	tests/models/test_init.py tests/models/test_correlation_pose.py tests/interop/test_exports.py \
	tests/training/test_loop.py::test_a_run_writes_every_term_pictures_and_validation
# Of check-jsonschema, which has these schemas in it: nothing is fetched.
SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema
# Whose lines are checked: not those of the files that experiments wrote.
PAGES := '*.md' ':!experiments/results'
# Material's note on its own future, at every build.
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test test-light test-newest install-newest check docs dist install clean

demo: $(RUNTIME)
	$(BIN)/python experiments/demo.py --workdir runs/demo

test: $(ALL)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-light: $(LIGHT)
	$(BIN)/python -m pytest $(LIGHT_TESTS)

test-newest: $(NEWEST)/.installed
	$(NEWEST)/bin/python -m pytest -x -n 2 --dist loadfile $(NEWEST_TESTS)

check: $(ALL)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/check_columns.py $$(git ls-files $(PAGES))
	$(SCHEMA) vendor.github-workflows .github/workflows/ci.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.citation-file-format CITATION.cff

# Not --quiet: warnings that are not shown do not count as strict either.
docs: $(DOCS)
	$(BIN)/mkdocs build --strict
	$(BIN)/python tools/check_links.py site README.md CHANGELOG.md CONTRIBUTING.md

dist: $(ALL)
	rm -rf dist
	$(BIN)/python -m build --quiet --no-isolation .
	$(BIN)/python tools/check_dist.py dist

install: $(ALL)

install-newest: $(NEWEST)/.installed

$(RUNTIME): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --constraint constraints.txt --editable .
	touch $@

$(ALL): $(RUNTIME)
	$(PIP) --constraint constraints.txt --editable '.[dev,torch,onnx,beam,app,lens,wandb]'
	touch $@

$(LIGHT): $(RUNTIME)
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	touch $@

$(NEWEST)/.installed: pyproject.toml $(CONSTRAINTS_NEWEST)
	$(PYTHON_NEWEST) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --upgrade pip
	$(NEWEST)/bin/python -m pip install --quiet \
		$(addprefix --constraint ,$(CONSTRAINTS_NEWEST)) --editable '.[test,onnx]'
	touch $@

$(DOCS): $(RUNTIME)
	$(PIP) --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) $(NEWEST) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build dist site

# make demo    the whole story on a rendered street, in about ten minutes on two CPU cores
# make test    the tests
# make check   lint, format and types
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
# What the demo needs, and what the tests and checks need besides.
RUNTIME := $(VENV)/.installed
ALL := $(VENV)/.installed-all

.PHONY: demo test check install clean

demo: $(RUNTIME)
	$(BIN)/python experiments/demo.py --workdir runs/demo

test: $(ALL)
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(ALL)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(ALL)

$(RUNTIME): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --constraint constraints.txt --editable .
	touch $@

$(ALL): $(RUNTIME)
	$(PIP) --constraint constraints.txt --editable '.[dev,torch,onnx,beam]'
	touch $@

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build dist

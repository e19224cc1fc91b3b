# make demo   set up, then predict the example recordings: a table, and a plot in out/
# make test   set up, then run all tests
# make screenshots  the pictures of the demo page in docs/screenshots, from its browser tests
# make bench  what the tables of the README measure; some minutes, on an idle machine with ../shared/speech beside it
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
VENV5 := .venv-transformers5
READY := $(VENV)/.ready
READY5 := $(VENV5)/.ready

.PHONY: setup demo test test-transformers5 lint format screenshots bench clean
.NOTPARALLEL:

setup: $(READY)

demo: $(READY)
	@mkdir -p out
	$(VENV)/bin/wav2small predict examples --plot out/demo.png
	@echo "plot: out/demo.png"

test: $(READY)
	$(VENV)/bin/python -m pytest -n 2 tests

# the library on the second line of transformers; ONNX export needs the first
test-transformers5: $(READY5)
	$(VENV5)/bin/python -m pytest -n 2 -m "not export" tests

lint: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell modeling training space tests hub_cards examples README.md Makefile

format: $(READY)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

screenshots: $(READY)
	$(VENV)/bin/python -m pytest tests/test_space_browser.py
	@mkdir -p docs/screenshots
	cp out/screenshots/*-light.png docs/screenshots/

bench: $(READY)
	$(VENV)/bin/python -m wav2small_training.benchmarks.latency
	$(VENV)/bin/python -m wav2small_training.benchmarks.throughput training/recipes/offline.yaml
	$(VENV)/bin/python tests/demo_load.py
	$(VENV)/bin/python -m wav2small_training.benchmarks.folder $(firstword $(wildcard ../shared/speech/emodb) examples)

clean:
	rm -rf $(VENV) $(VENV5) out dist

# torch first, and alone: another package's open range would take a build with CUDA
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt torch
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(READY5): pyproject.toml constraints-transformers5.txt
	$(PYTHON) -m venv $(VENV5)
	$(VENV5)/bin/pip install --quiet --constraint constraints-transformers5.txt torch
	$(VENV5)/bin/pip install --quiet --constraint constraints-transformers5.txt --editable '.[training,test]'
	touch $@

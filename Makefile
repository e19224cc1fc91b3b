# make demo   predict the example recordings: a table, and a picture in out/
# make test   the tests of every day; make test-all: all tests, with the browser's, and how much of the code they run
# make test-optimum   the library and its export on transformers 4.57, with optimum's exporter
# make test-devices   export for ExecuTorch and LiteRT, in their own runtimes
# make test-agents   the examples for Pipecat and LiveKit agents
# make test-wheel   the wheel with its extra [export] in a new environment: exports a checkpoint, and predicts with it
# make lint   format, lint, types, spelling; make format: put the format right
# make docs   the documentation, in out/site
# make screenshots  pictures of the demo page in docs/screenshots, from its browser tests
# make web    the npm package in web/: the network as WebAssembly, by clang and lld
# make bench  what the tables of speed show; some minutes, on an idle machine with ../shared/speech beside it
# Each sets up the environment that it needs, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
DEV := .venv/$(BIN)
DEMO := .venv-demo/$(BIN)
DOCS := .venv-docs/$(BIN)
OPTIMUM := .venv-optimum/$(BIN)
DEVICES := .venv-devices/$(BIN)
AGENTS := .venv-agents/$(BIN)
WHEEL := .venv-wheel/$(BIN)

.PHONY: setup demo test test-all test-optimum test-devices test-agents test-wheel lint format docs screenshots bench \
	web clean
.NOTPARALLEL:

setup: .venv/.ready

demo: .venv-demo/.ready
	@mkdir -p out
	$(DEMO)/wav2small predict examples --plot out/demo.png
	@echo "The picture is out/demo.png. Your own recordings: $(DEMO)/wav2small predict FOLDER"

test: .venv/.ready
	$(DEV)/python -m pytest -n 2 --dist loadfile -m "not slow and not browser and not timing" tests

test-all: .venv/.ready
	$(DEV)/python -m pytest -n 2 --dist loadfile --cov --cov-report term:skip-covered tests

test-optimum: .venv-optimum/.ready
	$(OPTIMUM)/python -m pytest -n 2 --dist loadfile -m "not slow and not browser and not timing" tests

test-devices: .venv-devices/.ready
	$(DEVICES)/python -m pytest tests/exporters/test_device.py

test-agents: .venv-agents/.ready
	$(AGENTS)/python -m pytest tests/test_agents.py

test-wheel: .venv/.ready
	rm -rf out/wheel
	$(DEV)/python -m hatchling build -t wheel -d out/wheel
	$(PYTHON) -m venv --clear .venv-wheel
	$(WHEEL)/python -m pip install --quiet --constraint constraints.txt torch
	$(WHEEL)/python -m pip install --quiet --constraint constraints.txt "$$(ls out/wheel/*.whl)[export]"
	$(WHEEL)/wav2small export adv-tiny out/wheel/adv-tiny
	$(WHEEL)/wav2small predict examples --model out/wheel/adv-tiny

lint: .venv/.ready
	$(DEV)/ruff format --check .
	$(DEV)/ruff check .
	$(DEV)/mypy
	$(DEV)/codespell

format: .venv/.ready
	$(DEV)/ruff format .
	$(DEV)/ruff check --fix .

docs: .venv-docs/.ready
	NO_MKDOCS_2_WARNING=1 $(DOCS)/mkdocs build --strict --quiet  # its notice of a successor
	@echo "The documentation is out/site/index.html"

screenshots: .venv/.ready
	$(DEV)/python -m pytest tests/space/test_space_browser.py tests/space/test_static_page.py
	@mkdir -p docs/screenshots
	for picture in docs/screenshots/*.png; do cp out/screenshots/$$(basename $$picture) docs/screenshots/; done

bench: .venv/.ready
	$(DEV)/python -m wav2small_training.benchmarks.latency
	$(DEV)/python -m wav2small_training.benchmarks.every_runtime
	$(DEV)/python -m wav2small_training.benchmarks.throughput training/recipes/offline.yaml
	$(DEV)/python tests/demo_load.py
	$(DEV)/python -m wav2small_training.benchmarks.folder $(firstword $(wildcard ../shared/speech/emodb) examples)

WASM := clang @web/clang.txt -Iweb/include -Iout/c web/wav2small_web.c out/c/wav2small.c

web: .venv/.ready
	rm -rf out/c
	$(DEV)/wav2small export adv-tiny out/c --format c
	$(WASM) -o web/wav2small.wasm
	$(WASM) -msimd128 -o web/wav2small-simd.wasm
	$(WASM) -msimd128 -DWAV2SMALL_BITS=4 -o web/wav2small-q4.wasm

clean:
	rm -rf .venv .venv-demo .venv-docs .venv-optimum .venv-devices .venv-agents .venv-wheel out dist

.venv/.ready: pyproject.toml constraints.txt
	@echo "Setting up the development environment in .venv: torch and all tools, some minutes and gigabytes"
	$(PYTHON) -m venv .venv
	$(DEV)/python -m pip install --quiet --constraint constraints.txt torch  # alone: other packages' ranges take CUDA's
	$(DEV)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

.venv-demo/.ready: pyproject.toml constraints.txt
	@echo "Setting up .venv-demo: ONNX Runtime, numpy, matplotlib and a detector of speech, 290 MB and no torch"
	@$(PYTHON) -m venv .venv-demo
	@$(DEMO)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[speech]' matplotlib
	@touch $@

.venv-docs/.ready: pyproject.toml constraints.txt
	@echo "Setting up .venv-docs: mkdocs and what reads docstrings, no torch"
	@$(PYTHON) -m venv .venv-docs
	@$(DOCS)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

.venv-optimum/.ready: pyproject.toml constraints-optimum.txt
	@echo "Setting up the second environment in .venv-optimum, some minutes and gigabytes"
	$(PYTHON) -m venv .venv-optimum
	$(OPTIMUM)/python -m pip install --quiet --constraint constraints-optimum.txt torch
	$(OPTIMUM)/python -m pip install --quiet --constraint constraints-optimum.txt --editable '.[optimum,training,test]'
	@touch $@

.venv-devices/.ready: pyproject.toml constraints-devices.txt
	@echo "Setting up the third environment in .venv-devices, some minutes and gigabytes"
	$(PYTHON) -m venv .venv-devices
	$(DEVICES)/python -m pip install --quiet --constraint constraints-devices.txt torch
	$(DEVICES)/python -m pip install --quiet --constraint constraints-devices.txt --editable '.[executorch,litert]' \
		hypothesis pytest pytest-timeout
	@touch $@

.venv-agents/.ready: pyproject.toml constraints-agents.txt
	@echo "Setting up .venv-agents: Pipecat and LiveKit agents, no torch"
	@$(PYTHON) -m venv .venv-agents
	@$(AGENTS)/python -m pip install --quiet --constraint constraints-agents.txt --editable '.[agents]' pytest pytest-timeout
	@touch $@

# SPDX-License-Identifier: Apache-2.0
# tinyguard: `make demo` and `make test` from a fresh checkout; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TINYGUARD_SHARED ?= $(abspath ../shared)
DEBIAN_PACKAGES := gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm openocd gcc libc6-dev make python3-venv
# onnx2tf asks for OpenCV with windows, which needs a machine's libGL; the same version without serves.
CV2 := opencv-python-headless

.PHONY: help setup demo test test-full lint clean

help:
	@echo "make setup      .venv with the pinned packages; Debian's cross compiler, QEMU and OpenOCD where missing"
	@echo "make demo       everything from nothing: quantize, build, flash a virtual board, evaluate over serial"
	@echo "make test       the quick suite; make test-full the whole, fuzzers included"
	@echo "make lint       ruff and mypy"

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@bash .ci/debian-packages $(DEBIAN_PACKAGES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip uninstall --quiet --yes opencv-python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps --force-reinstall $(CV2)
	@touch $@

demo: setup
	@bash models/digits/demo.sh demo

test: setup
	OMP_NUM_THREADS=1 .ci/core-minutes $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not board" tests

test-full: setup
	OMP_NUM_THREADS=1 .ci/core-minutes $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not board" tests

lint: setup
	$(BIN)/ruff check tinyguard tests models benchmarks
	$(BIN)/ruff format --check tinyguard tests models benchmarks
	$(BIN)/mypy

clean:
	rm -rf build .tinyguard

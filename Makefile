# Two commands matter: `make run` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test slow lint bench docs clean

run: $(STAMP)
	$(BIN)/screening train configs/moleculeace_fast.yaml --overwrite
	$(BIN)/screening evaluate runs/moleculeace_fast
	$(BIN)/screening score runs/moleculeace_fast alerts-library --out runs/moleculeace_fast/scores --overwrite --top 5
	$(BIN)/screening report runs/moleculeace_fast

# A process per core, a test file in one of them: what a file trains or starts, it does once.
test: $(STAMP)
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --durations 10

# One after the other: they kill clusters and use all cores by themselves.
slow: $(STAMP)
	$(BIN)/python -m pytest -m slow --durations 10

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	@for script in tests/benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(STAMP)
	$(BIN)/python tests/helpers/generated.py

clean:
	rm -rf $(VENV) runs scores .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

# torch first and pinned: an unpinned torch brings gigabytes of CUDA. moleculeace for its data files alone, without the
# packages that it asks for. The stamp is written last, so an interrupted set-up starts again.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,lint,baselines,ray,export,tune]"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps moleculeace
	touch $@

# Everything a newcomer needs. Each target brings the environment up to date first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: sweep test test-long lint ui clean

sweep: .venv/installed   ## the mask-ratio table on the built-in benchmark
	$(BIN)/python sweeps/mask_ratio.py

test: .venv/installed    ## the tests that every change must pass
	$(BIN)/pytest -n auto --dist loadfile -m "not e2e"
	$(BIN)/pytest -m "e2e and not long"

test-long: .venv/installed   ## launcher, Slurm, schedules, disks that fail, tracking servers: half an hour, as root
	$(BIN)/pytest -m long

lint: .venv/installed    ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

ui: .venv/installed      ## MLflow on http://127.0.0.1:5000
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --backend-store-uri sqlite:///output/mlflow.db --host 127.0.0.1 --port 5000 --workers 1

clean:                   ## everything that was made, but not what was recorded (output/)
	rm -rf .venv .data

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --upgrade pip
	$(BIN)/pip install --constraint constraints.txt --editable '.[dev]'
	touch $@

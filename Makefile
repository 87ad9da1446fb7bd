.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
SOURCES := payments_service webhook_bridge stripe_sandbox clients examples tools tests

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.done: pyproject.toml requirements/locked.txt requirements/client-oldest.txt clients/python/pyproject.toml
	$(PYTHON) -m venv .venv || python3 -m venv .venv
	$(BIN)/pip install --quiet uv==0.13.9
	$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements/locked.txt
	$(BIN)/uv pip install --quiet --no-deps --editable . --editable clients/python
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/client-oldest
	$(BIN)/uv pip sync --quiet --require-hashes --python .venv/client-oldest/bin/python requirements/client-oldest.txt
	@touch $@

.PHONY: setup
setup: .venv/.done ## Make .venv with the locked dependencies

.PHONY: run
run: setup ## Start all of it: gRPC, webhook bridge, actors, sandbox Stripe
	@$(BIN)/payments up

##@ Work on it

.PHONY: test
test: setup ## Run the tests, and then each kind of fault for a short while
	failed=0; \
	$(BIN)/pytest -n auto --dist worksteal -m "not faults" || failed=1; \
	$(BIN)/pytest -n 2 --dist loadgroup -m faults tests/faults || failed=1; \
	exit $$failed

.PHONY: test-long
test-long: setup ## Run the databases' tests on every PostgreSQL version (fetches them), and the long stories
	$(BIN)/python tools/unpack_postgres.py .postgresql
	for version in 14 15 16 17 18; do \
		PAYMENTS_TEST_POSTGRES=.postgresql PAYMENTS_TEST_DATABASES=postgresql-$$version CI=1 \
			$(BIN)/pytest -n 2 -k postgresql-$$version tests/integration tests/event_log tests/acceptance \
			tests/subscribers || exit 1; \
	done
	PAYMENTS_TEST_LONG=1 $(BIN)/pytest -n 2 tests/subscribers/test_ledger_machine.py tests/subscribers/test_group_machine.py \
		tests/subscribers/test_wire_machine.py \
		tests/integration/rpc/test_rpc_streams.py
	PAYMENTS_TEST_KILLS=1000 PAYMENTS_TEST_SEEDS=1-40 $(BIN)/pytest tests/faults/test_killed_processes.py tests/faults/test_any_mischief.py

.PHONY: bench
bench: setup ## Measure the main path on this machine: embedded, then PostgreSQL beside pgbench
	$(BIN)/python tests/benchmarks/main_job.py
	$(BIN)/python tests/benchmarks/webhook_rate.py
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/postgres_rates.py
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/order_rate.py

.PHONY: bench-streams
bench-streams: setup ## Measure what streams and subscribers carry on this machine, beside NATS JetStream
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/stream_numbers.py $(ARGUMENTS)

.PHONY: test-faults
test-faults: setup ## Kill, freeze, starve and cut off real processes, and tell how soon all was well again
	PAYMENTS_TEST_KILLS=100 $(BIN)/pytest -m faults tests/faults

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

.PHONY: lint
lint: setup ## Check style, types, the directions of imports, and the contract
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against tests/contract/owner
	$(BIN)/python tools/generate_contract.py --check

.PHONY: proto
proto: setup ## Generate the stubs of the contract
	$(BIN)/python tools/generate_contract.py

.PHONY: client
client: setup ## Build the Python client's wheel into dist/
	$(BIN)/uv build --quiet --wheel --out-dir dist clients/python

.PHONY: lock
lock: setup ## Choose the dependencies' versions anew
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header \
		--no-emit-index-url --all-extras pyproject.toml --output-file requirements/locked.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header \
		--no-emit-index-url requirements/client-oldest.in --output-file requirements/client-oldest.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --extra rabbitmq --extra redis --constraints requirements/locked.txt \
		pyproject.toml --output-file requirements/image.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --constraints requirements/client-oldest.txt \
		requirements/image-build.in --output-file requirements/image-build.txt

.PHONY: check
check: lint test ## All that CI checks

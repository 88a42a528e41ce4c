# `make help` lists the targets. Needs Python >= 3.11, make and git; everything else goes into .venv.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
PY := $(VENV)/bin/python
PACKAGE := core
PACKAGE_FOLDER = $(firstword $(wildcard $(PACKAGE) plugins/$(PACKAGE) plugins/provider-$(PACKAGE) protocols/$(PACKAGE)))
# Percent of the core's lines and branches that its own tests reach at least; 91 were measured.
CORE_COVERAGE := 90
MEMBERS := core $(patsubst %/pyproject.toml,%,$(wildcard protocols/*/pyproject.toml plugins/*/pyproject.toml surfaces/pyproject.toml gateway/pyproject.toml mcptools/pyproject.toml bulk/pyproject.toml))
LOCK := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate $(LOCKFLAGS)

# Tests begin hundreds of processes: without kept bytecode each compiles anew what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-gateway bench-bulk bench-gateway bench-records test test-clients test-kills test-deploy test-engines quick coverage test-pythons mutants bench bench-peers check lint types pyright site contracts docs wheels release lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s%s\n", $$1, $$2 }'

# uv installs several times faster than pip; where uv cannot reach a registry that pip can, pip does it.
install = (for tool in "uv pip" pip; do $(PY) -m $$tool install -q $(1) && exit 0; done; exit 1)

$(VENV)/synced: pyproject.toml $(MEMBERS:=/pyproject.toml) $(wildcard requirements/*.txt)
	@test -n "$(PYTHON)" || { echo "chatport needs Python 3.11 or newer; none found" >&2; exit 1; }
	@echo "== creating $(VENV) (once; about 15 seconds in all)"
	@$(PYTHON) -m venv $(VENV)
	@echo "== installing uv"
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@echo "== installing dependencies and tools"
	@$(call install,--require-hashes --no-build-isolation -r requirements/dev.txt)
	@echo "== installing $(MEMBERS)"
	@$(call install,--no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS)))
	@echo "== installing the llama.cpp server (optional)"
	@$(call install,--require-hashes --only-binary :all: -r requirements/demo.txt) 2>/dev/null || \
		echo "== no llama.cpp server for this machine: demo and tests go on without it"
	@echo "== installing nginx (optional)"
	@$(call install,--require-hashes --only-binary :all: -r requirements/nginx.txt) 2>/dev/null || \
		echo "== no nginx for this machine: the tests go on without it"
	@touch $@

demo: $(VENV)/synced ## run the demonstration
	@$(PY) demo/demo.py

demo-gateway: $(VENV)/synced ## show three clients before one gateway, and four vendors behind it
	@$(PY) demo/gateway.py

test: $(VENV)/synced ## run all tests (more options: ARGS="-k name")
	@$(PY) -m pytest -n 2 --dist worksteal $(ARGS)

test-clients: $(VENV)/synced ## let real clients work through the gateway; installs them (needs registries; ARGS="--client codex")
	@$(PY) -m tests.clients.run $(ARGS)

test-kills: $(VENV)/synced ## kill a gateway under load fifty times, and look for what is lost; some minutes
	@CHATPORT_KILLS=50 $(PY) -m pytest -n 0 gateway/tests/team/test_kill.py $(ARGS)

test-deploy: $(VENV)/synced ## build the image's environment, and put nginx before two replicas that are killed, stopped and reloaded
	@CHATPORT_DEPLOY=1 $(PY) -m pytest -n 0 gateway/tests/deploy $(ARGS)

# Ray, Dask and Daft bring 400 MB and hold other versions of pyarrow: they meet the rest only here.
ENGINES := .venv-engines
ENGINES_MEMBERS := core protocols/responses plugins/provider-deepseek bulk
$(ENGINES)/synced: $(VENV)/synced requirements/engines.txt $(ENGINES_MEMBERS:=/pyproject.toml)
	@echo "== installing Ray, Dask and Daft, in an environment of their own"
	@$(PYTHON) -m venv $(ENGINES)
	@$(PY) -m uv pip install -q --compile-bytecode --python $(ENGINES)/bin/python --require-hashes -r requirements/engines.txt || \
		$(ENGINES)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/engines.txt
	@$(PY) -m uv pip install -q --python $(ENGINES)/bin/python --no-deps --no-build-isolation $(addprefix -e ,$(ENGINES_MEMBERS)) || \
		$(ENGINES)/bin/python -m pip install -q --no-deps --no-build-isolation $(addprefix -e ,$(ENGINES_MEMBERS))
	@touch $@

test-engines: $(ENGINES)/synced ## let Ray, Dask and Daft run the stage, and kill them; installs them (100 kills: CHATPORT_KILLS=100)
	@$(ENGINES)/bin/python -m pytest -m engines bulk/tests/engines $(ARGS)

quick: $(VENV)/synced ## lint one package and run its own tests, without the slow ones (PACKAGE=provider-deepseek; core if not said)
	@test -n "$(PACKAGE_FOLDER)" || { echo "there is no package $(PACKAGE): core, or a folder of plugins/" >&2; exit 1; }
	@$(PY) -m ruff check --output-format concise $(PACKAGE_FOLDER)
	@$(PY) -m ruff format --check $(PACKAGE_FOLDER)
	@$(PY) -m pytest -q -n 2 --dist worksteal -m "not real_server and not slow and not engines" --ignore-glob='*/test_recordings.py' \
		$(PACKAGE_FOLDER)/tests $(ARGS)

coverage: $(VENV)/synced ## run core's own tests, and fail if they reach less of the core than they did
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest -n 2 --dist worksteal core/tests $(ARGS)
	@$(PY) -m coverage combine -q
	@$(PY) -m coverage report --include='core/src/*' --fail-under=$(CORE_COVERAGE)

test-pythons: $(VENV)/synced ## run the tests on each Python found, 3.11 and newer (some of them: ARGS=core/tests)
	@$(PY) .ci/pythons.py $(ARGS)

mutants: $(VENV)/synced ## make small faults in a copy of the code, and say which the tests do not notice; an hour and a half (ARGS="--number 150")
	@$(PY) -m tests.mutants.run $(ARGS)

bench: $(VENV)/synced ## measure ours against raw sockets and bare httpx, in about 3 minutes (more options: ARGS="--scenario paced")
	@$(PY) -m benchmarks.run $(ARGS)

bench-peers: $(VENV)/synced ## the same against other libraries, each in an environment of its own (needs a registry)
	@$(PY) -m benchmarks.run --peers $(ARGS)

bench-bulk: $(VENV)/synced ## ask a million rows, over loopback too, kill a run a hundred times, share limits (ARGS="kills --kills 10")
	@$(PY) -m benchmarks.bulk $(ARGS)

bench-gateway: $(VENV)/synced ## measure what the gateway costs (ARGS="--soak 600": and ten minutes of mixed load; --team, --team-shared: beside one with keys and records)
	@$(PY) -m benchmarks.gateway $(ARGS)

bench-records: $(VENV)/synced ## measure what the admin page asks of a million calls
	@$(PY) -m benchmarks.records $(ARGS)

check: lint types contracts ## lint, format check, types, import contracts, generated pages
	@$(MAKE) --no-print-directory docs CHECK=1

lint: $(VENV)/synced
	@echo "== lint" && $(PY) -m ruff check --output-format concise .
	@echo "== format" && $(PY) -m ruff format --check .
	@echo "== sync client" && $(PY) .ci/sync_client.py --check

types: $(VENV)/synced
	@echo "== types of the sources" && $(PY) -m mypy
	@echo "== types of the examples" && $(PY) .ci/docs_types.py
	@for system in win32 darwin; do \
		echo "== types of the sources as on $$system"; \
		$(PY) -m mypy --platform $$system --cache-dir .mypy_cache/$$system || exit 1; \
	done
	@echo "== types of the tests" && $(PY) -m mypy --explicit-package-bases $(wildcard core/tests surfaces/tests gateway/tests mcptools/tests bulk/tests tests benchmarks release)

site: $(VENV)/synced ## build the documentation into dist/site; installs Zensical (about 90 MB)
	@$(PY) -c "import zensical" 2>/dev/null || $(call install,--require-hashes --only-binary :all: -r requirements/site.txt)
	@$(PY) .ci/site.py

pyright: $(VENV)/synced ## check the types of README, manual and recipes with pyright too; installs it (about 280 MB)
	@test -e $(VENV)/bin/basedpyright || $(call install,--require-hashes --only-binary :all: -r requirements/pyright.txt)
	@$(PY) .ci/docs_types.py --pyright

contracts: $(VENV)/synced
	@echo "== import contracts" && $(PY) .ci/contracts.py

docs: $(VENV)/synced ## write every generated page of docs/ (CHECK=1: fail if one is stale)
	@for page in docs/generate_*.py; do $(PY) $$page $(if $(CHECK),--check) || exit 1; done

wheels: $(VENV)/synced ## build every wheel into dist/ and check it
	@$(PY) .ci/packages.py dist

$(VENV)/release/synced: $(VENV)/synced requirements/release.txt
	@echo "== installing twine and the schema of CycloneDX, in an environment of their own"
	@$(PYTHON) -m venv $(VENV)/release
	@$(PY) -m uv pip install -q --python $(VENV)/release/bin/python --require-hashes -r requirements/release.txt || \
		$(VENV)/release/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/release.txt
	@touch $@

release: $(VENV)/release/synced ## build and check a release, and show it; publishes nothing (VERSION=0.2.0; WRITE=1: into the checkout)
	@$(PY) -m release --tools $(VENV)/release/bin/python $(if $(VERSION),--version $(VERSION)) $(if $(WRITE),--write) $(ARGS)

lock: $(VENV)/synced ## pin requirements/*.txt anew (to upgrade: LOCKFLAGS=--upgrade)
	@$(LOCK) --group bootstrap -o requirements/bootstrap.txt
	@$(LOCK) --group dev --extra testing --extra httpx2 --extra otel --extra trio --extra redis --extra team --extra postgres --extra metrics --extra arrow --no-emit-package chatport-core --no-emit-package chatport-protocol-responses \
		--no-emit-package chatport-surfaces --no-emit-package chatport-mcp --no-emit-package chatport-gateway -o requirements/dev.txt \
		$(MEMBERS:=/pyproject.toml)
	@$(LOCK) --extra redis --extra team --extra postgres --extra metrics -c requirements/dev.txt --no-emit-package chatport-core \
		--no-emit-package chatport-protocol-responses --no-emit-package chatport-surfaces --no-emit-package chatport-gateway \
		-o requirements/gateway.txt core/pyproject.toml $(wildcard protocols/*/pyproject.toml plugins/*/pyproject.toml) \
		surfaces/pyproject.toml gateway/pyproject.toml
	@$(LOCK) --group wheels -c requirements/dev.txt -o requirements/wheels.txt
	@$(LOCK) --group demo -c requirements/dev.txt -o requirements/demo.txt
	@$(LOCK) --group site -c requirements/dev.txt -o requirements/site.txt
	@$(LOCK) --group pyright -c requirements/dev.txt -o requirements/pyright.txt
	@$(LOCK) --group nginx -c requirements/dev.txt -o requirements/nginx.txt
	@$(LOCK) --group release -o requirements/release.txt
	@$(LOCK) --group engines --extra redis --extra testing --extra ray --extra dask --extra daft --no-emit-package chatport-core \
		-o requirements/engines.txt core/pyproject.toml bulk/pyproject.toml

clean: ## remove .venv and everything generated
	rm -rf .venv .venv-engines dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* benchmarks/.venvs benchmarks/.results tests/clients/.installed
	find core protocols plugins surfaces gateway mcptools bulk tests demo benchmarks release .ci -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

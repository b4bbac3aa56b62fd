# Two commands do everything on a machine that has Python 3.11 and make:
#   make serve     install what serving needs, and serve the generators in models/
#   make test      install what tests need, and run all of them
# Also: make install (both wings, for training), make check (lint and types alone), make faults (what the service must stand,
# about ten minutes), make bench, make clean;
#     make image     the container image, by Docker, Podman or Buildah; VARIANT=gpu makes the one for CUDA
#     make watch-check   the alerts, the dashboard and the metrics, with a real Prometheus
#     make chart-check   the Helm chart, compose.yaml, .github: lint, render, schemas, policies
#     make lock      pin what images install; make lock ARGS=--upgrade takes the newest versions
#     make sbom      what an image installs, as CycloneDX, and docs/licences.md; make audit asks for known vulnerabilities (network)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: serve test check install faults bench clean image lock watch-check chart-check sbom audit

serve: $(VENV)/serve.done
	$(BIN)/seedmint serve $(ARGS)

test: check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow"

check: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

install: $(VENV)/train.done
	@echo "Installed. Next: $(BIN)/seedmint train digits --out runs/d"

faults: $(VENV)/test.done
	$(BIN)/python -m pytest -m fault -p tests.faults.table --faults-table benchmarks/results/faults.txt tests/faults tests/service

bench: $(VENV)/test.done
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python -m benchmarks.layers

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Seedmint needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/serve.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[serve]'
	@touch $@

$(VENV)/train.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[serve,batch,train]'
	@touch $@

$(VENV)/test.done: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

VARIANT ?= cpu
IMAGE ?= seedmint:$(VARIANT)
BASE_IMAGE ?= docker.io/library/python:3.11-slim
# The first that answers.
BACKEND ?= $(firstword $(foreach one,docker podman buildah,$(shell $(one) info >/dev/null 2>&1 && echo $(one))))
BENTO = BENTOML_HOME=$(CURDIR)/build/bentoml BENTOML_DO_NOT_TRACK=true $(CURDIR)/$(BIN)/bentoml

# Docker's format, because OCI's has no HEALTHCHECK. BentoML 1.4.39 finds its copy of the template only below where it is started.
image: $(VENV)/serve.done
	@test -n "$(BACKEND)" || { echo "make image needs Docker, Podman or Buildah, running" >&2; exit 1; }
	rm -rf build/bentoml
	$(BENTO) build
	cd "$${TMPDIR:-/tmp}" && $(BENTO) containerize seedmint:latest --backend $(BACKEND) --image-tag $(IMAGE) --opt build-arg=VARIANT=$(VARIANT) \
	  --opt build-arg=BASE_IMAGE=$(BASE_IMAGE) $(if $(PIP_INDEX_URL),--opt build-arg=PIP_INDEX_URL=$(PIP_INDEX_URL)) \
	  $(if $(filter docker,$(BACKEND)),,--opt format=docker)

watch-check: $(VENV)/test.done
	tools=$$(deploy/watch/fetch.sh build/tools) && PATH="$$tools:$$PATH" $(BIN)/python -m pytest tests/deploy/test_watch.py tests/deploy/test_prometheus.py

chart-check: $(VENV)/test.done
	deploy/chart/check.sh build/tools
	tools=$$(deploy/watch/fetch.sh build/tools) && PATH="$(CURDIR)/build/tools:$$tools:$$PATH" $(BIN)/python -m pytest tests/deploy/test_rendered.py

sbom:
	deploy/image/sbom.sh $(VARIANT)

audit: $(VENV)/serve.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement deploy/image/requirements/$(VARIANT).txt

lock: $(VENV)/serve.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	$(BIN)/python deploy/image/lock.py $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

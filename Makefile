# The two main commands. They need Python 3.11 and make. RUNTIME=cpu or RUNTIME=gpu chooses the ONNX Runtime (default: gpu if there is
# an NVIDIA driver):
#   make serve         install the service and serve the generators in models/
#   make test          install the test dependencies and run all tests
# Other commands:
#   make install       install the service and training
#   make check         run the linters and the type checker
#   make faults        run the fault tests (about ten minutes)
#   make bench         run the benchmarks
#   make docs          build the documentation as a site in build/site
#   make screenshots   renew the reference pictures of the explorer for its tests
#   make image         build the container image with Docker, Podman or Buildah; VARIANT=gpu builds the CUDA image
#   make watch-check   test alerts, dashboard and metrics with a real Prometheus
#   make chart-check   lint and render the Helm chart; validate it, compose.yaml and .github
#   make lock          pin the requirements of the images; ARGS=--upgrade selects the newest versions
#   make sbom          write the CycloneDX bill of materials of a built image, and docs/licences.md
#   make audit         check the locked versions for known vulnerabilities (needs network access)
#   make clean         remove everything that these commands create

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
comma := ,

.PHONY: serve test check install faults mutants screenshots bench docs clean image bento lock watch-check chart-check sbom audit

serve: $(VENV)/serve.done
	$(BIN)/seedmint serve $(ARGS)

# One process more than processors, because some tests wait for time-outs.
test: check
	LINE_COVERAGE=1 $(BIN)/python -m pytest --numprocesses $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)') --dist loadfile --no-loadscope-reorder -m "not slow"

check: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

install: $(VENV)/train.done
	@echo "Installed. Next: $(BIN)/seedmint train digits --out runs/d"

faults: $(VENV)/test.done
	$(BIN)/python -m pytest -m fault -p tests.faults.table --faults-table benchmarks/results/faults.txt tests/faults tests/service

# Hours; MODULES="models/seeds.py ..." limits the run. See tests/mutants.md.
mutants: $(VENV)/test.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'cosmic-ray>=8.4,<9'
	nice tests/mutants.sh $(CURDIR)/$(BIN)/python $(CURDIR)/build/mutants $(MODULES)

screenshots: $(VENV)/test.done
	SEEDMINT_RENEW_SCREENSHOTS=1 $(BIN)/python -m pytest -n 0 -m slow tests/http/test_explorer_screenshots.py

bench: $(VENV)/test.done
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python -m benchmarks.layers

docs: $(VENV)/test.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "Open build/site/index.html"

# A virtual environment without a working pip is made anew: its creation failed, or its Python was removed.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Seedmint needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv --clear $(VENV)

# ONNX Runtime is the extra cpu or gpu. Their packages install the same files: remove the other one first.
RUNTIME ?= $(if $(shell command -v nvidia-smi),gpu,cpu)
OTHER_RUNTIME = $(if $(filter gpu,$(RUNTIME)),onnxruntime,onnxruntime-gpu)
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
# Python compiles the modules that are imported, and keeps them. To compile all modules here would take most of the time of the
# installation.
export PYTHONDONTWRITEBYTECODE =
define INSTALL
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) uninstall --yes $(OTHER_RUNTIME) 2>/dev/null
	$(PIP) install --no-compile --editable '.[$(1),$(RUNTIME)]'
	@touch $@
endef

$(VENV)/serve.done: pyproject.toml $(BIN)/python
	$(call INSTALL,serve)

$(VENV)/train.done: pyproject.toml $(BIN)/python
	$(call INSTALL,serve$(comma)batch$(comma)train)
	@touch $(VENV)/serve.done

# The extra `test` includes the others.
$(VENV)/test.done: pyproject.toml $(BIN)/python
	$(call INSTALL,test)
	@touch $(VENV)/serve.done $(VENV)/train.done

VARIANT ?= cpu
IMAGE ?= seedmint:$(VARIANT)
BASE_IMAGE ?= docker.io/library/python:3.11-slim
# The first engine that runs.
BACKEND ?= $(firstword $(foreach one,docker podman buildah,$(shell $(one) info >/dev/null 2>&1 && echo $(one))))
BENTO = BENTOML_HOME=$(CURDIR)/build/bentoml BENTOML_DO_NOT_TRACK=true $(CURDIR)/$(BIN)/bentoml

bento: $(VENV)/serve.done
	rm -rf build/bentoml
	$(BENTO) build

# The time of all files and of the image. It is the same for all commits (2026-01-01), so that an unchanged layer keeps its digest.
SOURCE_DATE_EPOCH ?= 1767225600
LABELS = VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) REVISION=$(or $(shell git rev-parse HEAD 2>/dev/null),unknown) \
  $(if $(SOURCE_URL),SOURCE=$(SOURCE_URL))

# The OCI format has no HEALTHCHECK, so use the Docker format. BentoML 1.4.39 resolves the template relative to the working directory.
image: bento
	@test -n "$(BACKEND)" || { echo "make image needs a running Docker, Podman or Buildah" >&2; exit 1; }
	cd "$${TMPDIR:-/tmp}" && $(BENTO) containerize seedmint:latest --backend $(BACKEND) --image-tag $(IMAGE) --opt build-arg=VARIANT=$(VARIANT) \
	  --opt build-arg=BASE_IMAGE=$(BASE_IMAGE) $(if $(PIP_INDEX_URL),--opt build-arg=PIP_INDEX_URL=$(PIP_INDEX_URL)) \
	  $(foreach one,$(LABELS),--opt build-arg=$(one)) \
	  $(if $(filter docker,$(BACKEND)),--opt build-arg=SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH),--opt format=docker --opt timestamp=$(SOURCE_DATE_EPOCH)) $(if $(NO_CACHE),--opt no-cache)

watch-check: $(VENV)/test.done
	tools=$$(deploy/watch/fetch.sh build/tools) && PATH="$$tools:$$PATH" $(BIN)/python -m pytest tests/deploy/test_watch.py tests/deploy/test_prometheus.py

chart-check: $(VENV)/test.done
	deploy/chart/check.sh build/tools
	tools=$$(deploy/watch/fetch.sh build/tools) && PATH="$(CURDIR)/build/tools:$$tools:$$PATH" $(BIN)/python -m pytest tests/deploy/test_rendered.py tests/deploy/test_operators.py tests/deploy/test_values_refused.py

sbom:
	@test -n "$(BACKEND)" || { echo "make sbom needs the image, and Docker or Podman" >&2; exit 1; }
	deploy/image/sbom.sh $(VARIANT) $(BACKEND) $(IMAGE)

audit: $(VENV)/serve.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement deploy/image/requirements/$(VARIANT).txt

lock: $(VENV)/serve.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	$(BIN)/python deploy/image/lock.py $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

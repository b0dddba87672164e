# Every command of the project. `make help` lists them.
# CLUSTER: local (this machine, made by local_cluster), kind, or current (whatever kubectl points to).
CLUSTER ?= local
# APP: yes shows the FAQ in the sample app at the end of the demo.
APP ?= no
# PROMETHEUS: yes starts Prometheus too (built once where it cannot be downloaded: 2 minutes on an idle machine, 14 on a busy one).
PROMETHEUS ?= no
PYTHON := .venv/bin/python
UV_VERSION := 0.13.9
LOCK := .venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header

# Our own distributions, which the command line's depends on: installed from this checkout.
OURS := scoring-operator scoring-runtime

# What only a server needs; the image that fetches has none.
FETCH_WITHOUT := blinker click flask granian itsdangerous jinja2 markupsafe prometheus-client pyjwt werkzeug

.DEFAULT_GOAL := help
.PHONY: help demo install check lint types unit test integration e2e formats scaling security monitoring gitops browser cli-tests fuzz faults sbom audit cluster-up cluster-down crds chart dashboards docs quick-start protos bench-serving bench-operator lock-bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/installed: requirements/dev.txt requirements/embeddings.txt requirements/fuzz.txt operator/pyproject.toml serving_runtime/pyproject.toml cli/pyproject.toml
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; python3 is " + sys.version)'
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	.venv/bin/uv pip install --quiet --python $(PYTHON) --require-hashes -r requirements/dev.txt
	.venv/bin/uv pip install --quiet --python $(PYTHON) --require-hashes --no-deps -r requirements/embeddings.txt
	.venv/bin/uv pip install --quiet --python $(PYTHON) --require-hashes --no-deps -r requirements/fuzz.txt
	.venv/bin/uv pip install --quiet --python $(PYTHON) --no-deps -e operator -e serving_runtime -e cli
	touch $@

demo: .venv/installed ## The main job: a cluster, the operator, a FAQ model trained, served, asked and scaled
	$(PYTHON) -m samples.demo demo --cluster $(CLUSTER) $(if $(filter yes,$(PROMETHEUS)),--prometheus) $(if $(filter yes,$(APP)),--app)

install: .venv/installed ## Bring the cluster up and install the operator of this checkout on it
	$(PYTHON) -m samples.demo install --cluster $(CLUSTER)

check: lint types unit ## Lint, types and unit tests: no cluster needed

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

types: .venv/installed
	.venv/bin/mypy operator/src serving_runtime/src cli/src charts local_cluster samples supply_chain fuzzing dashboards documentation docs/conf.py tests
	.venv/bin/mypy benchmarks --exclude '^benchmarks/serving/(peers|models|plotting)/'

unit: .venv/installed build/mlserver/installed build/audit/installed ## Unit tests, and the repository's own promises
	.venv/bin/pytest tests/unit tests/repo --numprocesses auto --maxprocesses 4

test: check integration e2e ## Everything: unit, integration (real API server, KWOK nodes) and e2e (real pods) tests

integration: .venv/installed ## Integration tests: a real API server with KWOK's fake nodes
	.venv/bin/pytest tests/integration

e2e: .venv/installed ## End-to-end tests: real pods on the local cluster's real node (root)
	.venv/bin/pytest tests/e2e

formats: .venv/installed ## Every format in a real pod (root); makes the images with PyTorch, TensorFlow and MLflow, 40 GB of disk (not part of test)
	.venv/bin/pytest tests/e2e/test_formats.py --large-images

scaling: .venv/installed ## Scaling tests: KEDA, Karpenter and Prometheus, on fake nodes and a real one (root); builds them once (not part of test)
	.venv/bin/pytest tests/scaling

security: .venv/installed ## Security tests on the real parts: Traefik, object stores, registries, planted secrets, real pods (root); builds them once (not part of test)
	.venv/bin/pytest tests/security

gitops: .venv/installed ## GitOps tests: Flux's kustomize-controller and Argo CD's health scripts on fake nodes; builds it once (not part of test)
	.venv/bin/pytest tests/gitops

# Chromium's driver, of which only these tests know.
.venv/browser: requirements/browser.txt .venv/installed
	.venv/bin/uv pip install --quiet --python $(PYTHON) --require-hashes --no-deps -r requirements/browser.txt
	touch $@

browser: .venv/browser ## The sample app in headless Chromium, on this machine and in real pods (root); needs Chromium (not part of test)
	.venv/bin/pytest tests/browser

faults: .venv/installed ## Fault tests of the operator: kills, a broken control plane, hostile objects; docs/faults.md (not part of test)
	.venv/bin/pytest tests/faults

cli-tests: .venv/installed ## The command line with torch and Keras, and with a model in real pods on the local cluster's real node (root; not part of test)
	.venv/bin/pytest tests/cli

monitoring: .venv/installed ## Monitoring tests: a real Prometheus and promtool, every alert provoked, every dashboard's queries; builds them once (not part of test)
	.venv/bin/pytest tests/monitoring

FUZZ_SECONDS ?= 1800
fuzz: .venv/installed ## Fuzz requests, artifacts, objects and the HTTP interface for FUZZ_SECONDS, by default half an hour (docs/fuzzing.md; a short form is part of test)
	PYTHONPATH=.:tests/support $(PYTHON) -m fuzzing --seconds $(FUZZ_SECONDS)

sbom: .venv/installed build/audit/installed ## Bills of materials of all images, to build/sbom
	$(PYTHON) -m supply_chain sbom

audit: .venv/installed build/audit/installed ## Known vulnerabilities of what is locked; says so when no data base can be reached (exit status 3)
	$(PYTHON) -m supply_chain audit

cluster-up: .venv/installed ## Bring the local cluster up (CLUSTER=kind for kind)
	$(PYTHON) -m local_cluster up --provider $(CLUSTER)

cluster-down: .venv/installed ## Take the local clusters down; programs and images stay cached
	$(PYTHON) -m local_cluster down --provider $(CLUSTER)
	$(PYTHON) -m local_cluster down --name integration
	$(PYTHON) -m local_cluster down --name scaling
	$(PYTHON) -m local_cluster down --name faults
	$(PYTHON) -m local_cluster down --name monitoring
	$(PYTHON) -m local_cluster down --name gitops

crds: .venv/installed ## Generate the CRDs from the pydantic models, and docs/reference from the CRDs
	$(PYTHON) -m scoring_operator.crds crds
	$(PYTHON) -m scoring_operator.crds charts/scoring-operator/crds
	$(PYTHON) -m documentation docs/reference

docs: build/sphinx/installed ## Build the documentation as a site, to build/site; every warning is an error (docs/conf.py)
	build/sphinx/bin/sphinx-build --quiet --fail-on-warning --fresh-env --conf-dir docs --doctree-dir build/sphinx/doctrees . build/site
	.venv/bin/pytest tests/site
	@echo "build/site/index.html"

quick-start: .venv/installed ## Type docs/quick-start.md from beginning to end, on this machine (root; not part of test)
	.venv/bin/pytest tests/quick_start

dashboards: .venv/installed ## Generate the Grafana dashboards from dashboards/
	$(PYTHON) -m dashboards

chart: .venv/installed ## Document the chart's values from their comments: its schema and docs/chart.md
	$(PYTHON) -m charts.values

protos: .venv/installed ## Generate the gRPC messages from serving_runtime/proto
	$(PYTHON) -m grpc_tools.protoc -I serving_runtime/proto --python_out=serving_runtime/src/scoring_runtime/protocols --pyi_out=serving_runtime/src/scoring_runtime/protocols open_inference.proto
	sed -i 's/_descriptor_pool.Default()/_descriptor_pool.DescriptorPool()/' serving_runtime/src/scoring_runtime/protocols/open_inference_pb2.py

bench-serving: .venv/installed ## The runtime beside its peers, about an hour: benchmarks/README.md
	for benchmark in trivial faq resnet starts overload front_door gpu; do $(PYTHON) -m benchmarks.serving $$benchmark || exit 1; done

bench-operator: .venv/installed ## The operator beside the same objects made without one and beside KServe's controller, some hours: benchmarks/README.md
	$(PYTHON) -m benchmarks.operator models 1 100 300 1000
	$(PYTHON) -m benchmarks.operator models 5000 --no-floor
	$(PYTHON) -m benchmarks.operator peer 1 100 300

lock-bench: .venv/installed ## Lock the packages of the benchmarks' peers anew
	for peer in benchmarks/serving/peers/*/ benchmarks/serving/plotting/; do $(LOCK) $${peer}requirements.in -o $${peer}requirements.txt || exit 1; done

# MLServer's own client types, in an environment of their own: their pins clash with ours.
build/mlserver/installed: requirements/mlserver.txt .venv/installed
	python3 -m venv build/mlserver
	.venv/bin/uv pip install --quiet --python build/mlserver/bin/python --require-hashes -r requirements/mlserver.txt
	touch $@

# Tools that read our locks, in an environment of their own: they share no version with what they look at.
build/audit/installed: requirements/audit.txt .venv/installed
	python3 -m venv build/audit
	.venv/bin/uv pip install --quiet --python build/audit/bin/python --require-hashes -r requirements/audit.txt
	touch $@

# The generator of the site, in an environment of its own: it shares no version with what it describes.
build/sphinx/installed: requirements/docs.txt .venv/installed
	python3 -m venv build/sphinx
	.venv/bin/uv pip install --quiet --python build/sphinx/bin/python --require-hashes -r requirements/docs.txt
	touch $@

lock: .venv/installed ## Lock the dependencies anew, with hashes and without addresses
	$(LOCK) operator/pyproject.toml serving_runtime/pyproject.toml cli/pyproject.toml --all-extras $(OURS:%=--no-emit-package %) requirements/dev.in requirements/samples.in samples/client/requirements.in -o requirements/dev.txt
	$(LOCK) operator/pyproject.toml -c requirements/dev.txt -o operator/requirements.txt
	$(LOCK) serving_runtime/pyproject.toml --extra grpc --extra tracing --extra sklearn -c requirements/dev.txt -o serving_runtime/requirements-sklearn.txt
	$(LOCK) serving_runtime/pyproject.toml --extra grpc --extra tracing --extra torch -c requirements/dev.txt -o serving_runtime/requirements-torch.txt
	$(LOCK) serving_runtime/pyproject.toml --extra grpc --extra tracing --extra tensorflow --extra keras -c requirements/dev.txt -o serving_runtime/requirements-tensorflow.txt
	$(LOCK) serving_runtime/pyproject.toml --extra grpc --extra tracing --extra onnx -c requirements/dev.txt -o serving_runtime/requirements-onnx.txt
	$(LOCK) serving_runtime/pyproject.toml --extra grpc --extra tracing --extra mlflow -c requirements/dev.txt -o serving_runtime/requirements-mlflow.txt
	$(LOCK) serving_runtime/pyproject.toml --extra fetch $(FETCH_WITHOUT:%=--no-emit-package %) -c requirements/dev.txt -o serving_runtime/requirements-fetch.txt
	$(LOCK) samples/client/requirements.in -c requirements/dev.txt -o samples/client/requirements.txt
	$(LOCK) requirements/browser.in -c requirements/dev.txt -o requirements/browser.txt
	$(LOCK) requirements/mlserver.in -o requirements/mlserver.txt
	$(LOCK) requirements/audit.in -o requirements/audit.txt
	$(LOCK) requirements/docs.in -o requirements/docs.txt
	$(LOCK) requirements/fuzz.in -c requirements/dev.txt -o requirements/fuzz.txt

clean: ## Remove what builds and tests leave in the tree, with the virtual environment
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis

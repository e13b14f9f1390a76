# Two commands do all set-up on a machine with Go, a C compiler and Python 3:
#   make demo    trains an image classifier from examples/glyphs
#   make test    runs the tests
GO      ?= go
BIN     := bin/runner
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: build ort demo test test-parity test-python test-python-long test-faults test-faults-long test-serve test-serve-long test-api test-conformance \
	test-s3 test-s3-long test-kubernetes test-kubernetes-long test-ui test-editors ui check fix bench bench-gpu bench-accuracy bench-adapters bench-serve clean

build: ## the runner command
	$(GO) build -trimpath -ldflags "-X github.com/trainwright/trainwright/internal/cli.Version=$(VERSION)" -o $(BIN) ./cmd/runner

ort: build ## the ONNX Runtime library, once, into the user cache
	./$(BIN) init examples/glyphs

demo: build ort ## a real image classifier from an HCL file
	./$(BIN) dataset sample glyphs demo/data
	./$(BIN) --chdir=examples/glyphs apply --auto-approve

test: ort ## every test that belongs to each change; of the longest suites a sample
	$(GO) test -short ./...

test-parity: ort ## every zoo model and optimizer against stored PyTorch references
	$(GO) test -count=1 ./engine/zoo ./engine/train ./engine/lower

PYTHON_TESTS    := TestBuiltIn|TestEnvironment|TestFindLinks|TestAdaptersGuide|TestGPU|TestScripts/(frameworks|remoteown)|TestTimm|TestOwn|TestEcho|TestUnread|TestPython
PYTHON_PACKAGES := ./engine/zoo ./adapters/python ./internal/cli ./bench ./test/adapters ./test/conformance ./test/crash

test-python: ort .venv/installed ## the Python SDK, with torch
	.venv/bin/python -P -m pytest -q sdk/python
	RUNNER_TEST_PYTHON=$(CURDIR)/.venv/bin/python $(GO) test -count=1 -timeout 20m -run '$(PYTHON_TESTS)' $(PYTHON_PACKAGES)
	cd test/s3 && RUNNER_TEST_PYTHON=$(CURDIR)/.venv/bin/python $(GO) test -count=1 -timeout 5m -run TestPython .

test-python-long: ort .venv/installed ## the whole suite for adapters on the Python ones, frameworks on real photographs, timm's counts
	RUNNER_TEST_LONG=1 RUNNER_TEST_PYTHON=$(CURDIR)/.venv/bin/python $(GO) test -count=1 -timeout 3h -run '$(PYTHON_TESTS)' $(PYTHON_PACKAGES)
	RUNNER_TEST_PYTHON=$(CURDIR)/.venv/bin/python $(GO) test -count=1 -timeout 3h -run 'Timm|Transformers|Ultralytics|Own' ./test/conformance -args -all

.venv/installed: sdk/python/requirements-test.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet -r $<
	touch $@

test-faults: build ort ## kill -9 at random moments, a sample
	$(GO) test -count=1 -timeout 10m ./test/crash -args -kills=20

test-faults-long: build ort ## the long form
	$(GO) test -count=1 -timeout 2h ./test/crash -args -kills=200

test-serve: ## a server under kill -9, a sample
	$(GO) test -count=1 -timeout 10m ./test/serve

test-api: .venv-api/installed ## Schemathesis makes requests from the server's OpenAPI document
	RUNNER_TEST_SCHEMATHESIS=$(CURDIR)/.venv-api/bin/schemathesis $(GO) test -count=1 -timeout 10m -run TestSchemathesis ./test/serve

.venv-api/installed: test/serve/requirements.txt
	python3 -m venv .venv-api
	.venv-api/bin/python -m pip install --quiet -r $<
	touch $@

test-serve-long: ## the long form: 50 jobs
	$(GO) test -count=1 -timeout 2h -v ./test/serve -args -jobs=50

bench-serve: ## what a server bears: events/s, latency, watchers, memory (SOAK=10m for the long form)
	$(GO) test -count=1 -timeout 2h -v -run TestBench ./test/serve -args -bench -soak=$(or $(SOAK),2m)

test-conformance: ort ## the whole suite for adapters on the native one: every field changed once
	$(GO) test -count=1 -timeout 30m ./test/conformance -args -all

test-s3-long: ort ## the bucket is away for ten minutes of a training
	cd test/s3 && $(GO) test -count=1 -v -timeout 30m -run Outage . -args -outage=10m

test-s3: ort ## checkpoints and artifacts in a bucket, against a real S3 gateway
	cd test/s3 && $(GO) test -count=1 -timeout 15m ./...

test-kubernetes-long: ort ## with the whole demo trained in a pod
	$(GO) test -count=1 -timeout 60m -v ./test/kubernetes -args -build -demo

test-kubernetes: ort ## the Kubernetes executor on a real control plane, which is built once (minutes) into the user cache
	$(GO) test -count=1 -timeout 40m ./test/kubernetes -args -build

check: ## formatting and vet
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...

fix: ## format
	gofmt -w $$(git ls-files '*.go')

bench: ort ## images/s and memory against PyTorch, interleaved
	bash bench/run.sh

bench-gpu: $(if $(DRY),ort) ## images/s and memory on a GPU against PyTorch AMP; DRY=1 runs it tiny on the CPU
	DRY=$(DRY) bash bench/gpu.sh

bench-accuracy: ort ## validation accuracy against PyTorch on a small real dataset
	bash bench/accuracy.sh

bench-adapters: ort .venv/installed ## one file trained natively and by timm: accuracies on a small real dataset, answers and reports (DATA=…, ARGS="-seeds=1,2,3")
	RUNNER_TEST_PYTHON=$(CURDIR)/.venv/bin/python $(GO) test -count=1 -timeout 3h -v -run TestAccuracy ./test/adapters -args \
		-data=$(abspath $(or $(DATA),../shared/data/cifar10-small.tar.gz)) $(ARGS)

test-ui: build ort ui test/page/node_modules/.package-lock.json ## the built files match their sources; the page in headless Chromium
	@test -z "$$(git status --porcelain web/ui/dist)" || { git status --short web/ui/dist; echo "web/ui/dist is not what web/ui builds: make ui, and commit it"; exit 1; }
	npm --prefix test/page test

test/page/node_modules/.package-lock.json: test/page/package.json test/page/package-lock.json
	npm --prefix test/page ci

test-editors: build editors/vscode/node_modules/.package-lock.json ## the VS Code extension builds, and speaks with the language server
	npm --prefix editors/vscode run build
	npm --prefix editors/vscode test

editors/vscode/node_modules/.package-lock.json: editors/vscode/package.json editors/vscode/package-lock.json
	npm --prefix editors/vscode ci

ui: web/ui/node_modules/.package-lock.json ## the page's built files, which are committed
	npm --prefix web/ui run build

web/ui/node_modules/.package-lock.json: web/ui/package.json web/ui/package-lock.json
	npm --prefix web/ui ci

clean:
	rm -rf bin demo

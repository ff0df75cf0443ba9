# `make` alone lists the targets. What a target needs is beside it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The root module, and the one that uses it from outside.
MODULES := . interop

# How long `make soak` keeps at each fuzz target.
FUZZTIME ?= 60s

# Tests that spend their time in a browser, in commands, in databases or in pure
# computing. They run with the race detector in `make soak`; what they call runs
# with it in the others.
UNRACED := gatehouse/internal/server gatehouse/internal/console gatehouse/internal/validation gatehouse/internal/api gatehouse/internal/backup gatehouse/internal/cli \
  gatehouse/internal/broker gatehouse/internal/campaign gatehouse/internal/consent gatehouse/internal/registration gatehouse/internal/signin gatehouse/internal/datasource \
  gatehouse/lab/internal/conditional gatehouse/lab/internal/graphsim gatehouse/lab/internal/sts

# One more at once than there are cores, as tests also wait: for databases,
# browsers and killed processes.
BESIDE := -p 3

LINT := bin/golangci-lint
NPM  := interop/node/node_modules/.package-lock.json

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | \
	  while IFS= read -r line; do printf '  %-8s %s\n' "$${line%%:*}" "$${line##*## }"; done

.PHONY: demo
demo: ## Start server and simulated Microsoft cloud together on loopback (needs only Go)
	go run ./cmd/gatehouse demo

.PHONY: build
build: ## Build bin/gatehouse: static, stripped, without paths of this machine
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/gatehouse ./cmd/gatehouse

.PHONY: test
test: $(NPM) ## Install what is missing, then run every test, with the race detector where it can run
	@flags=$$(tools/setup.sh); \
	echo "go test $$flags (all but $(UNRACED))"; \
	$${flags:+env CGO_ENABLED=1} tools/postgres.sh go test $$flags $(BESIDE) $$(go list ./... | grep -vxF "$$(printf '%s\n' $(UNRACED))"); \
	echo "go test $(UNRACED)"; \
	tools/postgres.sh go test $(BESIDE) $(UNRACED); \
	echo "go test ./... (interop)"; \
	tools/postgres.sh go -C interop test ./...

# `go mod verify` stumbles over a replaced module whose path has no dot, so in
# interop it is given a copy of go.mod without gatehouse, which the root checks.
.PHONY: check
check: $(LINT) ## Formatting, vet, linters, module checksums
	@echo 'gofmt -l'; \
	unformatted=$$(find . -name node_modules -prune -o -name '*.go' -print0 | xargs -0r gofmt -l); \
	if [ -n "$$unformatted" ]; then \
	  printf 'gofmt would change:\n%s\n' "$$unformatted" >&2; exit 1; \
	fi
	@echo 'npm lock file without addresses'; \
	if grep -n '"resolved"' interop/node/package-lock.json >&2; then \
	  echo 'the lock file must not say where packages came from: keep omit-lockfile-registry-resolved=true in interop/node/.npmrc' >&2; exit 1; \
	fi
	@for module in $(MODULES); do \
	  echo "go vet, golangci-lint ($$module)"; \
	  go -C $$module vet ./...; \
	  (cd $$module && "$(CURDIR)/$(LINT)" run --config "$(CURDIR)/.golangci.yaml" ./...); \
	done
	@echo 'go mod verify'; \
	go mod verify; \
	go -C tools mod verify; \
	cp interop/go.mod bin/interop.mod; cp interop/go.sum bin/interop.sum; \
	go mod edit -dropreplace=gatehouse -droprequire=gatehouse bin/interop.mod; \
	go -C interop mod verify -modfile=../bin/interop.mod

.PHONY: bench
bench: $(NPM) ## Print the figures of all benchmarks
	go test -run '^$$' -bench . -benchtime=1s -timeout=30m ./conditionalaccess/... ./lab/... ./internal/...
	cd interop && go test -run '^$$' -bench . ./...

.PHONY: soak
soak: export GATEHOUSE_SOAK := 1
soak: $(NPM) ## Long runs: every fuzz target for FUZZTIME (60s), then all tests three times
	@go test -list '^Fuzz' ./... | \
	awk '/^Fuzz/ { names[n++] = $$1 } $$1 == "ok" { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r package name; do \
	  echo "fuzz $$package $$name"; \
	  go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done
	@flags=$$(tools/setup.sh); \
	for module in $(MODULES); do \
	  echo "go test $$flags -count=3 ./... ($$module)"; \
	  $${flags:+env CGO_ENABLED=1} tools/postgres.sh go -C $$module test $$flags -count=3 -timeout=60m ./...; \
	done

.PHONY: eval
eval: ## Measure the answers against labelled data: make eval DATA=folder
	@if [ -z "$(DATA)" ]; then echo 'eval: say where the data is: make eval DATA=folder' >&2; exit 2; fi
	go run ./internal/eval --data "$(DATA)"

.PHONY: clean
clean: ## Remove what was built or installed here
	rm -rf bin dist interop/node/node_modules

# The linter is built once, from its own module, so that none of its needs
# becomes a need of the product.
$(LINT): tools/go.mod tools/go.sum
	go -C tools build -trimpath -ldflags='-s -w' -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(NPM): interop/node/package.json interop/node/package-lock.json
	npm --prefix interop/node ci --no-audit --no-fund
	@touch $@

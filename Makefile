# Everything CI does has a target here; .ci/run calls them in its order.

FUZZTIME ?= 20000x
BENCHTIME ?= 1x
COUNT ?= 1
SOAK ?= 1m

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | column -t -s "$$(printf '\t')"

.PHONY: run
run: ## stream from the built-in simulator for ten seconds
	go run ./examples/alltickers -for 10s

.PHONY: test
test: ## run the tests
	go test ./...

.PHONY: race
race: ## run the tests with the race detector, which also poisons lent memory
	go test -race -count=$(COUNT) ./...

.PHONY: test-inline
test-inline: ## run the tests of clients without a queue between reader and handler
	TICKSTORM_TEST_INLINE=1 go test -count=1 -run 'Client|Gap|Backfill|Panic|Topics|Stats' .

.PHONY: test-386
test-386: ## run the tests on a 32-bit platform, where int and alignment differ
	GOARCH=386 go test ./...

.PHONY: allocs
allocs: ## run the tests that assert zero allocations
	go test -count=1 -run 'Alloc' -v . ./frame ./internal/... ./bench

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME, by count: a time can fail by itself
	@set -e; for target in $$(go test -list '^Fuzz' ./fuzz | grep '^Fuzz'); do \
		echo "fuzz $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime=$(FUZZTIME) ./fuzz; \
	done

.PHONY: bench
bench: ## run every benchmark for BENCHTIME
	go test -run '^$$' -bench . -benchtime=$(BENCHTIME) . ./frame ./internal/... ./bench

.PHONY: ratios
ratios: ## measure what README states as ratios; takes a minute
	go test -run '^$$' -bench Ratio -benchtime=9x ./bench

.PHONY: check
check: ## formatting, vet, tidiness, and that other platforms build, tests included
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt would change these"; exit 1; }
	go vet ./...
	go vet -tags tickstorm_poison ./...
	go mod tidy -diff
	@set -e; for platform in darwin/arm64 windows/amd64 freebsd/amd64 linux/arm64 linux/386; do \
		echo "vet $$platform"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} go vet ./...; \
	done

.PHONY: compiler
compiler: ## check that the fast path is inlined and free of bounds checks as it was
	./.ci/compiler

.PHONY: smoke
smoke: ## run the examples briefly and check the main job's figures
	go run ./examples/keep
	go run ./examples/ownloop
	go run ./examples/epoll
	go run ./examples/sixmarkets
	go run ./examples/alltickers -for 3s -json | ./.ci/figures
	go run ./examples/overload -for 1s -policies inline,drop-oldest

.PHONY: soak
soak: ## stream for SOAK while everything goes wrong at random, and check every event
	go run ./examples/soak -for $(SOAK)

.PHONY: test-rivals
test-rivals: ## vet and test the adapters of other libraries, a nested module
	cd bench/rivals && go vet ./... && go test ./...

.PHONY: test-metrics
test-metrics: ## vet and test the exporters of Stats, nested modules
	cd metrics/prometheus && go vet ./... && go test ./...
	cd metrics/otel && go vet ./... && go test ./...

.PHONY: bench-rivals
bench-rivals: ## print README's tables of rivals; takes some minutes, RIVALS=-short less
	cd bench/rivals && go run ./tables $(RIVALS)

# COUNT and BENCHTIME mean something else above, where one is enough.
.PHONY: bench-compare
bench-compare: COUNT = 7
bench-compare: BENCHTIME = 0.3s
bench-compare: BENCH = Parse/.*/^(fast|fastjson)$$
bench-compare: ## measure BASE, a revision, and the work tree in turn, COUNT times
	@test -n "$(BASE)" || { echo "usage: make bench-compare BASE=REVISION [COUNT=7] [BENCHTIME=0.3s] [BENCH=REGEXP]"; exit 1; }
	./bench/tools/compare '$(BASE)' '$(COUNT)' '$(BENCHTIME)' '$(BENCH)'

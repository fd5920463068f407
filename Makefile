# Everything CI does has a target here; .ci/run calls them in its order. What ./.ci/each
# runs is run in every module that git knows, the nested ones too.

# A failure on the left of a pipe is a failure.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

FUZZTIME ?= 20000x
BENCHTIME ?= 1x
COUNT ?= 1
SOAK ?= 1m
PROOF ?= 100

# The modules that programs import: no tools, and none of benchmarks or tests alone.
LIBRARIES = $(shell git ls-files '*go.mod' | xargs dirname | grep -vE '^(bench/|cmd/|interop$$|relay/admin/browser$$|sink/parquet/duckdb$$)|(^|/)internal/')

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "%-14s %s\n", $$1, $$2 }'

.PHONY: run
run: ## stream from the built-in simulator for ten seconds
	go run ./examples/alltickers -for 10s

.PHONY: tickstorm
tickstorm: ## build the command line tool, bin/tickstorm
	go build -C cmd/tickstorm -o ../../bin/ .

# The platforms that the tool is for.
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: binaries
binaries: ## build the command line tool for all its platforms, bin/tickstorm-OS-ARCH
	@for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/}; \
		name=tickstorm-$$os-$$arch; [ $$os != windows ] || name+=.exe; \
		echo "bin/$$name"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -C cmd/tickstorm -trimpath -ldflags=-s -o "../../bin/$$name" .; \
	done

# Tests that are parallel wait for a program or a server most of the time, and so do some modules as a whole.
PARALLEL = -parallel 8

.PHONY: test
test: ## run the tests
	./.ci/each -j 2 go test $(PARALLEL) ./...

.PHONY: race
race: ## run the tests with the race detector, which also poisons lent memory
	./.ci/each -j 2 go test $(PARALLEL) -race -count=$(COUNT) ./...

.PHONY: test-inline
test-inline: ## run the tests of clients without a queue between reader and handler
	TICKSTORM_TEST_INLINE=1 go test -count=1 -run 'Client|Gap|Backfill|Panic|Topics|Stats' .

# The server that the tests of sink/nats embed has 64-bit atomics that 32-bit platforms do not align.
.PHONY: test-386
test-386: ## run the tests on a 32-bit platform, where int and alignment differ
	GOARCH=386 MODULES="$(filter-out sink/nats,$(LIBRARIES))" ./.ci/each -j 2 go test $(PARALLEL) ./...

.PHONY: test-safe
test-safe: ## run the tests of the form without package unsafe, which is in internal/intern
	go test -tags tickstorm_safe ./internal/intern . ./fuzz
	go test -tags tickstorm_safe -run '^$$' -fuzz '^FuzzSymbols$$' -fuzztime=$(FUZZTIME) -fuzzminimizetime=1x ./fuzz

.PHONY: allocs
allocs: ## run the tests that assert zero allocations
	go test -count=1 -run 'Alloc' -v ./...

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME, by count: a time can fail by itself
	@git grep -oE '^func Fuzz\w+' -- '*_test.go' | sed 's/:func / /' | while read -r file target; do \
		echo "fuzz $$target"; \
		(cd "$$(dirname "$$file")" && go test -run '^$$' -fuzz "^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=1x . </dev/null); \
	done

.PHONY: bench
bench: ## run every benchmark for BENCHTIME
	go test -run '^$$' -bench . -benchtime=$(BENCHTIME) $(if $(filter 1x,$(BENCHTIME)),-short) ./...

.PHONY: ratios
ratios: ## measure what README states as ratios; takes a minute
	go test -run '^$$' -bench Ratio -benchtime=9x ./bench

# Figures of an older revision, in docs/growth-old.txt, are drawn too if they are there.
.PHONY: growth
growth: COUNT = 9
growth: ## measure what a market's size costs and draw docs/growth.svg; takes some minutes
	mkdir -p docs
	go test -run '^$$' -bench '^BenchmarkSymbols$$' -benchtime=$(BENCHTIME) -count=$(COUNT) ./bench >docs/growth-new.txt
	go run ./bench/growth -new docs/growth-new.txt $(addprefix -old ,$(wildcard docs/growth-old.txt)) >docs/growth.svg

.PHONY: screenshots
screenshots: ## draw the pictures of the relay's page, docs/relay-*.png, with Chromium
	cd relay/admin/browser && go test -count=1 -run Screenshots -update .

.PHONY: check
check: format vet platforms layers lint ## all that is checked without running the code

.PHONY: format
format: ## check that gofmt and go mod tidy would change nothing
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt would change these"; exit 1; }
	./.ci/each -all go mod tidy -diff

.PHONY: vet
vet: ## vet
	./.ci/each go vet ./...
	go vet -tags tickstorm_poison . ./internal/poison
	go vet -tags tickstorm_safe ./internal/intern

# All that programs are made of is checked for one Unix beside Linux and for Windows. Others have the modules that
# have code of their own for them, and 32 bits those that test-386 leaves out.
.PHONY: platforms
platforms: ## check that other platforms build, tests included
	./.ci/types windows/amd64 $(LIBRARIES) cmd/tickstorm
	./.ci/types darwin/arm64 $(LIBRARIES) cmd/tickstorm
	./.ci/types freebsd/amd64 . record
	./.ci/types linux/arm64 .
	./.ci/types linux/386 sink/nats cmd/tickstorm

.PHONY: layers
layers: ## check that no package imports what its layer must not know
	go test ./internal/layers

.PHONY: lint
lint: ## look for mistakes with staticcheck, and for functions that nothing reaches
	./.ci/staticcheck
	./.ci/deadcode

.PHONY: compiler
compiler: ## check that the fast path is inlined and free of bounds checks as it was
	./.ci/compiler

.PHONY: smoke
smoke: ## run the examples briefly and check the main job's figures
	go run ./examples/keep
	go run ./examples/ownloop
	go run ./examples/start
	go run ./examples/epoll
	go run ./examples/sixmarkets
	go run ./examples/alltickers -for 3s -json | ./.ci/figures
	go run ./examples/relay -for 2s
	go run ./examples/overload -for 1s -policies inline,drop-oldest
	recording=$$(mktemp -d) && trap 'rm -r "$$recording"' EXIT && \
		go run -C record ./examples/record -for 2s -dir "$$recording" && go run -C record ./examples/replay -dir "$$recording"
	go run -C sink/nats ./examples/distributed -for 6s

.PHONY: newcomer
newcomer: ## run README's command for the command line tool on a clean clone
	./.ci/newcomer

.PHONY: soak
soak: ## stream for SOAK while everything goes wrong at random, and check every event
	go run ./examples/soak -for $(SOAK)

.PHONY: cli-rates
cli-rates: tickstorm ## measure what the command line tool writes a second, beside the simulator in another process
	./.ci/rates json 450000
	./.ci/rates raw 900000
	bin/tickstorm top --demo --demo-rate 450000 --once -d 10s | jq -e '{events_per_second, dropped: .queue.dropped, reconnects} | ., (.dropped == 0 and .reconnects == 0)'

.PHONY: top-picture
top-picture: tickstorm ## run top in a terminal of its own, on a simulator that breaks off once, and draw docs/top.svg
	go run -C cmd/tickstorm ./internal/picture -- $(CURDIR)/bin/tickstorm top >docs/top.svg

.PHONY: release
release: ## make what a release of VERSION would be, in a copy, and prove that it installs; OUT=DIR keeps the copy
	@test -n "$(VERSION)" || { echo "usage: make release VERSION=v0.1.0 [OUT=DIR]"; exit 1; }
	go run -C internal/release . -version '$(VERSION)' $(if $(OUT),-o '$(abspath $(OUT))')

# Each is at least one, however small the share.
share = $(shell echo $$((($(1) * $(PROOF) + 99) / 100)))

.PHONY: proof
proof: ## prove what takes long: races, repeated runs, fuzzing, soak; half an hour and more, PROOF=10 takes a tenth
	MODULES="$(LIBRARIES)" $(MAKE) race COUNT=$(call share,3)
	./.ci/repeat . $(call share,30) 300
	./.ci/repeat ./epoll $(call share,30) 300
	./.ci/repeat ./internal/faults $(call share,30) 300
	$(MAKE) fuzz test-safe FUZZTIME=$(call share,200000)x
	$(MAKE) -j4 $(PROOFS)

# These wait for programs and servers most of the time, and do so beside each other.
PROVE = go test $(PARALLEL) -count=1 -timeout 1h
PROOFS = $(addprefix proof-,soak relay record flags sink nats nats-faults kafka postgres parquet)
.PHONY: $(PROOFS)
proof-soak:
	$(MAKE) soak SOAK=$(call share,600)s
proof-relay:
	TICKSTORM_OPERATIONS=$(call share,1000000) TICKSTORM_CLIENTS=$(call share,10000) $(PROVE) -run 'Model|NothingIsLeft' ./relay
proof-record:
	cd record && TICKSTORM_KILLS=$(call share,100) $(PROVE) -run Kill ./examples/record
proof-flags:
	cd cmd/tickstorm && TICKSTORM_FLAGS=$(call share,40) $(PROVE) -run Flags .
proof-sink:
	cd sink && TICKSTORM_KILLS=$(call share,300) $(PROVE) -run 'Kills|Rivals' .
proof-nats:
	cd sink/nats && TICKSTORM_KILLS=$(call share,200) $(PROVE) -run 'Killed|StreamOnce' .
proof-nats-faults:
	cd sink/nats/internal/faults && TICKSTORM_KILLS=$(call share,60) $(PROVE) .
proof-kafka:
	cd sink/kafka && TICKSTORM_KILLS=$(call share,400) $(PROVE) -run 'Faults|Killed|Once' .
proof-postgres:
	cd sink/postgres && TICKSTORM_KILLS=$(call share,300) $(PROVE) -run Kills .
proof-parquet:
	cd sink/parquet && TICKSTORM_KILLS=$(call share,300) $(PROVE) -run Kills .

.PHONY: nats-figures
nats-figures: ## measure what README says of sink/nats and print its table's rows, medians of ROUNDS=9; takes five minutes
	./.ci/nats-figures

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
	./bench/compare '$(BASE)' '$(COUNT)' '$(BENCHTIME)' '$(BENCH)'

# The newcomer's way in. Everything else is `cargo xtask` and `ingot --help`.
#   make up            build and run Ingot until Ctrl-C; DETACH=1 leaves it running
#   make first-flow    a first flow against it, with the official JavaScript client
#   make cluster       the same as separate processes: EDGES=2 FANOUT=3 RELAYS=2 API=2; DETACH=1 likewise
#   make down          stop what runs in the background
#   make test          lints and all tests
#   make chaos         a cluster loses one part after the other under load, and messages are counted, once for each
#                      source of realtime; SOURCE=listen or SOURCE=wal for one of them
#   make rehearsal     a cluster with an address per process is rolled, scaled and cut apart under load; needs root
#   make bench         benchmarks against peers; `make bench realtime`, `edge`, `records` or `database` for a part
# PROFILE=release builds longer and runs faster. The default shares its build with `make test`.

PROFILE ?= dev
EDGES ?= 2
FANOUT ?= 3
RELAYS ?= 2
API ?= 2
CLUSTER := --edges $(EDGES) --fanout $(FANOUT) --relays $(RELAYS) --api $(API)

TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
BUILD := cargo build --workspace --locked --profile $(PROFILE)
INGOT := $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/ingot

.PHONY: up first-flow cluster down test chaos rehearsal bench packages packages-clients packages-tests packages-bench

# `ingot` has all services inside; only a cluster needs a program per service. Always with
# --workspace: otherwise dependencies are built once more with other features.
up: packages
	$(BUILD) --bin ingot
	$(INGOT) up $(if $(DETACH),--detach)

first-flow: packages-clients
	cd examples/first-flow && npm ci --no-progress && npm start

cluster: packages
	$(BUILD) --bins
	$(INGOT) cluster $(CLUSTER) $(if $(DETACH),--detach)

down:
	$(INGOT) down

test: packages-tests
	cargo xtask ci

# The names after it measure a part: `make bench records`.
PARTS := edge records database realtime
.PHONY: $(PARTS)
$(PARTS):
	@:

chaos: packages-clients
	cd tests/clients && npm ci --no-progress
	$(BUILD) --bins
	for source in $(or $(SOURCE),listen wal); do \
		$(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/ingot-chaos --source $$source || exit 1; \
	done

rehearsal: packages-tests
	cd tests/clients && npm ci --no-progress
	$(BUILD) --bins
	$(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/ingot-rehearsal

bench: packages-bench packages-clients
	cargo build --workspace --release --locked --bin ingot-rest --bin ingot-bench
	cargo run --release --locked --bin ingot-bench -- $(or $(filter $(PARTS),$(MAKECMDGOALS)),all)

packages:
	@deploy/install-packages.sh

packages-clients:
	@deploy/install-packages.sh clients

packages-tests:
	@deploy/install-packages.sh tests
	@deploy/install-cargo-tools.sh

packages-bench:
	@deploy/install-packages.sh bench

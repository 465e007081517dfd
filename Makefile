# The few commands of this project. `make` lists them.

.PHONY: help demo test test-fleet test-security fuzz check lint fmt bench bench-proxy bench-limits audit setup

help:
	@echo "make demo         a running gateway with a toy service behind it, on loopback"
	@echo "make test         every test"
	@echo "make test-fleet   the contracts once more, with PostgreSQL and Redis below"
	@echo "make test-security  attacks at length, with figures: real servers, other verifiers, floods, fuzzing"
	@echo "make fuzz         every fuzz target for half a minute"
	@echo "make check        formatting, clippy and docs, warnings denied"
	@echo "make audit        dependencies against advisories and licences"
	@echo "make bench        nanoseconds per decision"
	@echo "make bench-proxy  CPU per request against a bare proxy"
	@echo "make bench-limits CPU per request of shared limits against local ones"

# A debug build is there soonest, and fast enough to try things out. ARGS are passed on: make demo ARGS="--port-offset 20000"
demo:
	@scripts/setup.sh build
	@cargo run --locked -- demo $(ARGS)

# Client programs that stand on packages of others are played where those are; elsewhere they count as skipped.
programs = $(wildcard target/programs/versions)

# The runner prints its own closing line; ARGS are passed on to it.
test:
	@scripts/setup.sh test
	@$(if $(programs),,echo "skipping client programs that need packages: scripts/programs.sh puts them there" >&2)
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo test --locked --doc --quiet && \
		cargo nextest run --locked --no-fail-fast $(if $(programs),--run-ignored all) $(ARGS); \
	else \
		cargo test --locked --no-fail-fast $(ARGS) $(if $(programs),-- --include-ignored); \
	fi

# Every gateway of the contract suite has a database of its own on one PostgreSQL, and a place of its own in one Redis; the
# tests start both, and they end after them. The tests of the store have both kinds of it in any case.
test-fleet:
	@scripts/setup.sh fleet
	PORTCULLIS_TEST_STORE=fleet cargo nextest run --locked --no-fail-fast --test contract $(ARGS)

# Five real servers, three verifiers, floods (attackers and gateway each need as many open files as there are connections),
# and FUZZ_SECONDS for each fuzz target.
test-security:
	@scripts/setup.sh security
	scripts/verifiers.sh
	scripts/fronts.sh
	PORTCULLIS_FRONTS=all PORTCULLIS_ORIGINS=all PORTCULLIS_VERIFIERS=all PORTCULLIS_TOKENS=200000 PORTCULLIS_PAIRS=10000 cargo test --locked --test security -- --nocapture
	cargo build --release --locked
	ulimit -n $$(ulimit -Hn) && \
	PORTCULLIS_BINARY=$$(pwd)/target/release/portcullis PORTCULLIS_PACE=1 PORTCULLIS_SLOW_CONNECTIONS=5000 \
	PORTCULLIS_SLOW_READERS=1000 PORTCULLIS_WRONG_TOKENS=1000000 PORTCULLIS_TOKEN_RATE=3500 PORTCULLIS_LOGINS=500 PORTCULLIS_HTTP2_SECONDS=11 \
	cargo test --locked --test abuse -- --test-threads 1 --nocapture $(ARGS)
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),600)

# The same for a moment.
fuzz:
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),30)

check: lint
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

fmt:
	cargo fmt

audit:
	scripts/audit.sh

bench:
	@scripts/setup.sh build
	cargo bench --locked

bench-proxy:
	@scripts/setup.sh build
	benches/proxy/run.sh

bench-limits:
	@scripts/setup.sh build
	benches/limits/run.sh

setup:
	scripts/setup.sh test

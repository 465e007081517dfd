# The few commands of this project. `make` lists them.

.PHONY: help demo test check lint fmt bench bench-proxy audit setup

help:
	@echo "make demo         a running gateway with a toy service behind it, on loopback"
	@echo "make test         every test"
	@echo "make check        formatting, clippy and docs, warnings denied"
	@echo "make audit        dependencies against advisories and licences"
	@echo "make bench        nanoseconds per decision"
	@echo "make bench-proxy  CPU per request against a bare proxy"

# A debug build is there soonest, and fast enough to try things out. ARGS are passed on: make demo ARGS="--port-offset 20000"
demo:
	@scripts/setup.sh build
	@cargo run --locked -- demo $(ARGS)

# The runner prints its own closing line; ARGS are passed on to it.
test:
	@scripts/setup.sh test
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo test --locked --doc --quiet && cargo nextest run --locked --no-fail-fast $(ARGS); \
	else \
		cargo test --locked --no-fail-fast $(ARGS); \
	fi

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

setup:
	scripts/setup.sh test

#!/usr/bin/env bash
# Runs every fuzz target for so many seconds, two at a time, from the kept corpora: scripts/fuzz.sh [seconds] [target...]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-30}
shift || true
# Fuzzing needs flags of the compiler that only nightly offers by itself.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$PWD/target/fuzz"
command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz
if [ "$#" -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(cargo fuzz list); fi

# No sanitizer: there is no unsafe code of ours, and without one it builds in half the time.
cargo fuzz build --sanitizer none --codegen-units 16 >&2
run() {
    local log=target/fuzz/$1.log
    # New inputs go to a scratch folder; the kept corpus changes only by hand (cargo fuzz cmin).
    mkdir -p "target/fuzz/new/$1"
    if cargo fuzz run --sanitizer none --codegen-units 16 "$1" "target/fuzz/new/$1" "fuzz/corpus/$1" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 >"$log" 2>&1; then
        echo "fuzz: $1: $(grep -o 'number_of_executed_units: [0-9]*' "$log" | grep -o '[0-9]*$' || echo 0) inputs, no fault"
    else
        echo "fuzz: $1: FAILED" >&2
        tail -n 40 "$log" >&2
        return 1
    fi
}
export -f run
export seconds
printf '%s\n' "${targets[@]}" | xargs -P 2 -I {} bash -c 'run {}'

#!/usr/bin/env bash
# What sharing a limit costs a request: CPU microseconds per request of one gateway (release) at two routes that differ only in
# `across` of their limits, "local" and "leased", with a Redis of its own, in one interleaved run with wrk. Cases: a public route
# counted by client, one with an API key counted by key. What is asked in the background counts as well. Takes about
# ROUNDS * SECONDS_PER_RUN * 4.
#
#   ROUNDS=13 SECONDS_PER_RUN=1 CONNECTIONS=32 THREADS=1 MOST=1.03 benches/limits/run.sh
#
# Fails where the median of the rounds' ratios is above MOST, if that is said. On a machine with two cores give it one of its own:
#   chrt --rr 1 taskset --cpu-list 1 benches/limits/run.sh
#
# GATE names another binary than the one built here; STATIC another upstream.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${ROUNDS:-13} seconds=${SECONDS_PER_RUN:-1} connections=${CONNECTIONS:-32} threads=${THREADS:-1}
for tool in wrk curl jq python3 redis-server redis-cli; do
    command -v "$tool" >/dev/null || { echo "benches/limits: $tool is missing" >&2; exit 1; }
done
if [ -z "${GATE:-}" ]; then
    cargo build --release --locked --bin portcullis --example static_upstream
fi
target=${CARGO_TARGET_DIR:-target}/release
gate=${GATE:-$target/portcullis} static=${STATIC:-$target/examples/static_upstream}

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
start() { "$@" >/dev/null 2>>"$work/errors" & pids+=($!); }
answers() {
    for _ in $(seq 100); do
        curl --silent --output /dev/null "$1" && return
        sleep 0.1
    done
    echo "benches/limits: nothing answers at $1" >&2
    tail -n 20 "$work/errors" >&2
    exit 1
}

read -r upstream public internal redis < <(python3 benches/proxy/ports.py 4)
{
    cat <<TOML
version = 1

[server]
threads = $threads

[data]
dir = "$work/data"

[internal]
address = "127.0.0.1:$internal"

[log]
access = false

[redis]
url = "redis://127.0.0.1:$redis"

[[listener]]
name = "public"
address = "127.0.0.1:$public"

[[realm]]
name = "main"

[[mount]]
name = "api"
dialect = "tmws"

[[upstream]]
name = "static"
backends = ["http://127.0.0.1:$upstream"]
TOML
    # High enough to refuse nothing, counted all the same.
    for across in local leased; do
        for per in client key; do
            cat <<TOML

[[limit]]
name = "$across-$per"
per = ["$per"]
windows = ["1000000000/min", "4000000000/h"]
across = "$across"
TOML
        done
        cat <<TOML

[[route]]
name = "$across-client"
match = { path = "/$across/client" }
authn = ["public"]
limits = ["$across-client"]
upstream = "static"

[[route]]
name = "$across-key"
mount = "api"
match = { path = "/$across/key" }
authn = ["api_key"]
authz = { scopes = { "*" = "READ" } }
limits = ["$across-client", "$across-key"]
upstream = "static"
TOML
    done
} >"$work/gate.toml"

start redis-server --port "$redis" --bind 127.0.0.1 --save "" --appendonly no --dir "$work"
start "$static" --listen "127.0.0.1:$upstream"
answers "http://127.0.0.1:$upstream/"
"$gate" check --config "$work/gate.toml" >"$work/check.out" || { cat "$work/check.out" >&2; exit 1; }
start "$gate" serve --config "$work/gate.toml"
pid=${pids[-1]}
answers "http://127.0.0.1:$public/local/client"

password='Bench-Mark-2026!'
printf '%s\n' "$password" | "$gate" user add bench --config "$work/gate.toml" \
    --email bench@example.org --role ADMIN --password-stdin >"$work/user.out"
api="http://127.0.0.1:$public/api/v1/auth"
token=$(jq -n --arg password "$password" '{username: "bench", password: $password}' |
    curl --silent --fail-with-body --json @- "$api/login" | jq -er .access_token)
key=$(curl --silent --fail-with-body -H "Authorization: Bearer $token" \
    --json '{"name": "bench", "scopes": ["READ"], "expires_days": 1}' "$api/api-keys" | jq -er .api_key)

load() { # across case seconds
    wrk -t1 -c"$connections" -d"${3}s" --latency -H "X-API-Key: $key" "http://127.0.0.1:$public/$1/$2"
}
measure() { # across case
    local before after
    before=$(python3 benches/proxy/cpu.py "$pid")
    load "$1" "$2" "$seconds" >"$work/wrk.out"
    after=$(python3 benches/proxy/cpu.py "$pid")
    python3 benches/proxy/table.py record "$work/runs.tsv" "$1" "$2" "$before" "$after" "$work/wrk.out"
}
for across in local leased; do
    for case in client key; do
        status=$(curl --silent --output "$work/answer" --write-out '%{http_code}' -H "X-API-Key: $key" \
            "http://127.0.0.1:$public/$across/$case")
        [ "$status" = 200 ] || { echo "benches/limits: $across $case: $status $(cat "$work/answer")" >&2; exit 1; }
        load $across $case 1 >/dev/null
    done
done
# Shares were taken: else it would be one route measured twice.
[ "$(redis-cli -p "$redis" --scan --pattern 'portcullis:limit:l:*' | wc -l)" -ge 2 ] ||
    { echo "benches/limits: nothing is leased" >&2; exit 1; }

for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    # Who is first changes: what heats up or cools down falls on both.
    order=(local leased)
    [ $((round % 2)) = 0 ] && order=(leased local)
    for case in client key; do
        for across in "${order[@]}"; do measure "$across" "$case"; done
    done
done
echo "$threads proxy thread(s), $connections connections, $rounds rounds of ${seconds}s; medians of CPU µs per request"
python3 benches/limits/table.py "$work/runs.tsv" "${MOST:-}"

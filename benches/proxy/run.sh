#!/usr/bin/env bash
# What the gateway costs: CPU microseconds per request of the release binary and of a bare pingora proxy (examples/bare_proxy.rs,
# same pingora, same threads), in one interleaved run with wrk. Cases: public route, JWT, API key, each with limits and metrics on.
#
#   ROUNDS=5 SECONDS_PER_RUN=5 CONNECTIONS=32 THREADS=1 ACCESS_LOG=on|off benches/proxy/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${ROUNDS:-5} seconds=${SECONDS_PER_RUN:-5} connections=${CONNECTIONS:-32} threads=${THREADS:-1}
access_log=${ACCESS_LOG:-on}
for tool in wrk curl jq python3; do
    command -v "$tool" >/dev/null || { echo "benches/proxy: $tool is missing" >&2; exit 1; }
done

cargo build --release --locked --bin portcullis --example bare_proxy --example static_upstream
target=${CARGO_TARGET_DIR:-target}/release

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

read -r upstream bare gate internal < <(python3 benches/proxy/ports.py 4)
start() { "$@" >"$work/$(basename "$1").out" 2>"$work/$(basename "$1").err" & pids+=($!); }
answers() {
    for _ in $(seq 100); do
        curl --silent --output /dev/null "$1" && return
        sleep 0.1
    done
    echo "benches/proxy: nothing answers at $1" >&2
    tail -n 20 "$work"/*.err >&2
    exit 1
}

cat >"$work/portcullis.toml" <<TOML
version = 1

[server]
threads = $threads

[data]
dir = "$work/data"

[internal]
address = "127.0.0.1:$internal"

[log]
access = $([ "$access_log" = on ] && echo true || echo false)

[[listener]]
name = "public"
address = "127.0.0.1:$gate"

[[realm]]
name = "main"

[[mount]]
name = "api"
dialect = "tmws"

[[upstream]]
name = "static"
backends = ["http://127.0.0.1:$upstream"]

# High enough to refuse nothing, counted all the same.
[[limit]]
name = "per-client"
per = ["client"]
windows = ["1000000000/min", "4000000000/h"]

[[limit]]
name = "per-credential"
per = ["credential"]
windows = ["1000000000/min", "4000000000/h"]

[[route]]
name = "public"
match = { path = "/public/**" }
authn = ["public"]
limits = ["per-client"]

[[route]]
name = "jwt"
match = { path = "/bench/jwt" }
authn = ["jwt"]
authz = { scopes = { "*" = "READ" } }
limits = ["per-client", "per-credential"]

[[route]]
name = "key"
match = { path = "/bench/key" }
authn = ["api_key"]
authz = { scopes = { "*" = "READ" } }
limits = ["per-client", "per-credential"]
TOML

start "$target/examples/static_upstream" --listen "127.0.0.1:$upstream"
start "$target/examples/bare_proxy" --listen "127.0.0.1:$bare" --upstream "127.0.0.1:$upstream" --threads "$threads"
bare_pid=${pids[-1]}
start "$target/portcullis" serve --config "$work/portcullis.toml"
gate_pid=${pids[-1]}
answers "http://127.0.0.1:$upstream/"
answers "http://127.0.0.1:$bare/"
answers "http://127.0.0.1:$gate/public/x"

password='Bench-Mark-2026!'
printf '%s\n' "$password" | "$target/portcullis" user add bench --config "$work/portcullis.toml" \
    --email bench@example.org --role ADMIN --password-stdin >"$work/user.out"
api="http://127.0.0.1:$gate/api/v1/auth"
token=$(jq -n --arg password "$password" '{username: "bench", password: $password}' |
    curl --silent --fail-with-body --json @- "$api/login" | jq -er .access_token)
key=$(curl --silent --fail-with-body -H "Authorization: Bearer $token" \
    --json '{"name": "bench", "scopes": ["READ"], "expires_days": 1}' "$api/api-keys" | jq -er .api_key)

path_of() { case $1 in public) echo /public/tasks ;; *) echo "/bench/$1" ;; esac }
header_of() {
    case $1 in
        public) echo "X-Nothing: at-all" ;;
        jwt) echo "Authorization: Bearer $token" ;;
        key) echo "X-API-Key: $key" ;;
    esac
}
for case in public jwt key; do
    status=$(curl --silent --output "$work/answer" --write-out '%{http_code}' -H "$(header_of $case)" \
        "http://127.0.0.1:$gate$(path_of $case)")
    [ "$status" = 200 ] || { echo "benches/proxy: $case answers $status: $(cat "$work/answer")" >&2; exit 1; }
done

# wrk's own report is kept; CPU time is that of the process under test alone.
measure() { # who pid port case
    local before after
    before=$(python3 benches/proxy/cpu.py "$2")
    wrk -t1 -c"$connections" -d"${seconds}s" --latency -H "$(header_of "$4")" \
        "http://127.0.0.1:$3$(path_of "$4")" >"$work/wrk.out"
    after=$(python3 benches/proxy/cpu.py "$2")
    python3 benches/proxy/table.py record "$work/runs.tsv" "$1" "$4" "$before" "$after" "$work/wrk.out"
}

echo "warming up" >&2
for case in public jwt key; do
    wrk -t1 -c"$connections" -d1s -H "$(header_of $case)" "http://127.0.0.1:$bare$(path_of $case)" >/dev/null
    wrk -t1 -c"$connections" -d1s -H "$(header_of $case)" "http://127.0.0.1:$gate$(path_of $case)" >/dev/null
done
for round in $(seq "$rounds"); do
    for case in public jwt key; do
        echo "round $round of $rounds: $case" >&2
        measure bare "$bare_pid" "$bare" "$case"
        measure portcullis "$gate_pid" "$gate" "$case"
    done
done
echo "access log $access_log, $threads proxy thread(s), $connections connections, $rounds rounds of ${seconds}s, medians"
python3 benches/proxy/table.py print "$work/runs.tsv"

#!/usr/bin/env bash
# What the gateway costs: CPU microseconds per request of the release binary and of a bare pingora proxy (examples/bare_proxy.rs,
# same pingora, same threads), in one interleaved run with wrk. Cases: public route, JWT, API key, each with limits and metrics
# on, by a gateway that writes access lines and by one that does not. Takes about ROUNDS * SECONDS_PER_RUN * 9.
#
#   ROUNDS=5 SECONDS_PER_RUN=3 CONNECTIONS=32 THREADS=1 benches/proxy/run.sh
#
# On a machine that does other things as well, or with two cores, give it one core of its own:
#   chrt --rr 1 taskset --cpu-list 1 benches/proxy/run.sh
# Otherwise the slower of the two pays again for each peer it finds asleep and for caches that others have used.
#
# BARE and GATE name other binaries than those built here, for comparisons between versions.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${ROUNDS:-5} seconds=${SECONDS_PER_RUN:-3} connections=${CONNECTIONS:-32} threads=${THREADS:-1}
for tool in wrk curl jq python3; do
    command -v "$tool" >/dev/null || { echo "benches/proxy: $tool is missing" >&2; exit 1; }
done

if [ -z "${GATE:-}" ]; then
    cargo build --release --locked --bin portcullis --example bare_proxy --example static_upstream
fi
target=${CARGO_TARGET_DIR:-target}/release
bare_binary=${BARE:-$target/examples/bare_proxy} gate_binary=${GATE:-$target/portcullis}

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

declare -A port pid token key
read -r upstream port[bare] port[logging] port[silent] internal_1 internal_2 < <(python3 benches/proxy/ports.py 6)
# Access lines go to nowhere: a disk is not what is measured here.
start() { "$@" >/dev/null 2>>"$work/errors" & pids+=($!); }
answers() {
    for _ in $(seq 100); do
        curl --silent --output /dev/null "$1" && return
        sleep 0.1
    done
    echo "benches/proxy: nothing answers at $1" >&2
    tail -n 20 "$work/errors" >&2
    exit 1
}

config() { # who access internal
    cat >"$work/$1.toml" <<TOML
version = 1

[server]
threads = $threads

[data]
dir = "$work/$1"

[internal]
address = "127.0.0.1:$3"

[log]
access = $2

[[listener]]
name = "public"
address = "127.0.0.1:${port[$1]}"

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
}
config logging true "$internal_1"
config silent false "$internal_2"

start "$target/examples/static_upstream" --listen "127.0.0.1:$upstream"
start "$bare_binary" --listen "127.0.0.1:${port[bare]}" --upstream "127.0.0.1:$upstream" --threads "$threads"
pid[bare]=${pids[-1]}
answers "http://127.0.0.1:$upstream/"
answers "http://127.0.0.1:${port[bare]}/"

password='Bench-Mark-2026!'
for who in logging silent; do
    "$gate_binary" check --config "$work/$who.toml" >"$work/check.out" || { cat "$work/check.out" >&2; exit 1; }
    start "$gate_binary" serve --config "$work/$who.toml"
    pid[$who]=${pids[-1]}
    answers "http://127.0.0.1:${port[$who]}/public/x"
    printf '%s\n' "$password" | "$gate_binary" user add bench --config "$work/$who.toml" \
        --email bench@example.org --role ADMIN --password-stdin >"$work/user.out"
    api="http://127.0.0.1:${port[$who]}/api/v1/auth"
    token[$who]=$(jq -n --arg password "$password" '{username: "bench", password: $password}' |
        curl --silent --fail-with-body --json @- "$api/login" | jq -er .access_token)
    key[$who]=$(curl --silent --fail-with-body -H "Authorization: Bearer ${token[$who]}" \
        --json '{"name": "bench", "scopes": ["READ"], "expires_days": 1}' "$api/api-keys" | jq -er .api_key)
done
# The bare proxy passes a credential on as it is; it gets one so that all read heads of one length.
token[bare]=${token[logging]} key[bare]=${key[logging]}

path_of() { case $1 in public) echo /public/tasks ;; *) echo "/bench/$1" ;; esac }
header_of() { # who case
    case $2 in
        public) echo "X-Nothing: at-all" ;;
        jwt) echo "Authorization: Bearer ${token[$1]}" ;;
        key) echo "X-API-Key: ${key[$1]}" ;;
    esac
}
for who in logging silent; do
    for case in public jwt key; do
        status=$(curl --silent --output "$work/answer" --write-out '%{http_code}' -H "$(header_of $who $case)" \
            "http://127.0.0.1:${port[$who]}$(path_of $case)")
        [ "$status" = 200 ] || { echo "benches/proxy: $case answers $status: $(cat "$work/answer")" >&2; exit 1; }
    done
done

load() { # who case seconds
    wrk -t1 -c"$connections" -d"${3}s" --latency -H "$(header_of "$1" "$2")" \
        "http://127.0.0.1:${port[$1]}$(path_of "$2")"
}
# wrk's own report is kept; CPU time is that of the process under test alone.
measure() { # who case
    local before after
    before=$(python3 benches/proxy/cpu.py "${pid[$1]}")
    load "$1" "$2" "$seconds" >"$work/wrk.out"
    after=$(python3 benches/proxy/cpu.py "${pid[$1]}")
    python3 benches/proxy/table.py record "$work/runs.tsv" "$1" "$2" "$before" "$after" "$work/wrk.out"
}

echo "warming up" >&2
for case in public jwt key; do
    for who in bare logging silent; do load $who $case 1 >/dev/null; done
done
for round in $(seq "$rounds"); do
    for case in public jwt key; do
        echo "round $round of $rounds: $case" >&2
        for who in bare logging silent; do measure $who $case; done
    done
done
echo "$threads proxy thread(s), $connections connections, $rounds rounds of ${seconds}s; medians of CPU µs per request"
python3 benches/proxy/table.py print "$work/runs.tsv"

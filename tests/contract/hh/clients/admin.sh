#!/usr/bin/env bash
# The guide's curl lines and the original's jq scripts. Argument: the line of the demo.
set -euo pipefail
base=$(jq -er .mounts.hh.url <<<"$1")
user=$(jq -er '.accounts.hh[0] | select(.scheme == "basic") | "\(.username):\(.password)"' <<<"$1")
ask() { curl -sS --fail-with-body --noproxy '*' -u "$user" "$@"; }

ask -X POST "$base/admin/users/allow" -H 'Content-Type: application/json' \
    -d '{"hh_user_id": "12345678", "comment": "HR Manager"}' | jq -e '.is_active and .hh_user_id == "12345678"'
ask "$base/admin/users?active_only=true" | jq -e '.total == (.users | length)'
ask "$base/admin/users" | jq -e '[.users[] | select(.is_active) | .hh_user_id] | index("12345678")'
ask -X DELETE "$base/admin/users/12345678" | jq -e '.message == "User removed from whitelist"'
ask "$base/admin/users" | jq -e '.users[] | select(.hh_user_id == "12345678") | .is_active == false'

# One session, so that there is one to end.
page=$(curl -sS --noproxy '*' -L -c - -b '' -H 'Accept: application/json' "$base/auth/login")
code=$(grep -o 'id="exchange-code"[^>]*' <<<"$page" | sed 's/.*value="\([^"]*\)".*/\1/')
session=$(curl -sS --noproxy '*' -X POST "$base/auth/exchange" -H 'Content-Type: application/json' \
    -d "{\"exchange_code\": \"$code\"}" | jq -er .session_id)
ask "$base/admin/sessions" | jq -e '.sessions[0].user.full_name'
for id in $(ask "$base/admin/sessions" | jq -r '.sessions[].id'); do
    ask -X DELETE "$base/admin/sessions/$id" | jq -e '.message == "Session terminated"'
done
[ "$(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' "$base/users/me?session_id=$session")" = 401 ]

[ "$(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' -u admin:wrong "$base/admin/users")" = 401 ]
ask "$base/admin/audit-log?limit=50" | jq -e '[.events[] | select(.event_type == "login_failed")] | length == 1'
ask "$base/admin/audit-log?event_type=session_terminated" | jq -e '.total == 1'
ask "$base/admin/statistics" | jq -e '.total_whitelist_entries == 2'
metrics=$(curl -sS --noproxy '*' "$base/metrics")
grep -q '^request_duration_seconds_bucket{.*le="0.1"' <<<"$metrics"
grep -q '^requests_total{' <<<"$metrics"

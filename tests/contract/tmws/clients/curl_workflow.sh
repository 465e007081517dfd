#!/usr/bin/env bash
# The eight steps with curl, no -L anywhere: a redirect breaks them.
set -u
BASE="$1"
USERNAME="$2"
PASSWORD="$3"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Prints the body, then the status on a line of its own.
ask() {
    curl -s -w '\n%{http_code}' "$@"
}
status() { tail -n 1 <<<"$1"; }
body() { sed '$d' <<<"$1"; }
expect() {
    [ "$(status "$2")" = "$1" ] || fail "$3: $(status "$2") instead of $1: $(body "$2")"
}

# 1. log in
reply=$(ask -X POST "$BASE/api/v1/auth/login" -H "Content-Type: application/json" \
    -d "{\"username\": \"$USERNAME\", \"password\": \"$PASSWORD\"}")
expect 200 "$reply" login
ACCESS=$(body "$reply" | jq -r .access_token)
REFRESH=$(body "$reply" | jq -r .refresh_token)

# 2. create a task
reply=$(ask -X POST "$BASE/api/v1/tasks" -H "Authorization: Bearer $ACCESS" \
    -H "Content-Type: application/json" \
    -d '{"title": "Workflow", "description": "of curl", "priority": "high"}')
expect 201 "$reply" create
[ "$(body "$reply" | jq -r .task.title)" = "Workflow" ] || fail "the created task"

# 3. list
reply=$(ask "$BASE/api/v1/tasks" -H "Authorization: Bearer $ACCESS")
expect 200 "$reply" list
[ "$(body "$reply" | jq -r .total)" -ge 1 ] || fail "the list"

# 4. search
reply=$(ask -X POST "$BASE/api/v1/memory/search" -H "Authorization: Bearer $ACCESS" \
    -H "Content-Type: application/json" -d '{"query": "workflow"}')
expect 200 "$reply" search

# 5. refresh
reply=$(ask -X POST "$BASE/api/v1/auth/refresh" -H "Content-Type: application/json" \
    -d "{\"refresh_token\": \"$REFRESH\"}")
expect 200 "$reply" refresh
ACCESS=$(body "$reply" | jq -r .access_token)
REFRESH=$(body "$reply" | jq -r .refresh_token)

# 6. create a key
reply=$(ask -X POST "$BASE/api/v1/auth/api-keys" -H "Authorization: Bearer $ACCESS" \
    -H "Content-Type: application/json" \
    -d '{"name": "Workflow Key", "scopes": ["READ", "WRITE"], "expires_days": 90}')
expect 201 "$reply" "create key"
KEY=$(body "$reply" | jq -r .api_key)

# 7. use the key
reply=$(ask "$BASE/api/v1/tasks" -H "X-API-Key: $KEY")
expect 200 "$reply" "use key"

# 8. log out, and both tokens are dead
reply=$(ask -X POST "$BASE/api/v1/auth/logout" -H "Authorization: Bearer $ACCESS" \
    -H "Content-Type: application/json" -d "{\"refresh_token\": \"$REFRESH\"}")
expect 200 "$reply" logout
expect 401 "$(ask "$BASE/api/v1/tasks" -H "Authorization: Bearer $ACCESS")" "access token after logout"
expect 401 "$(ask -X POST "$BASE/api/v1/auth/refresh" -H "Content-Type: application/json" \
    -d "{\"refresh_token\": \"$REFRESH\"}")" "refresh token after logout"
expect 200 "$(ask "$BASE/api/v1/tasks" -H "X-API-Key: $KEY")" "the key lives on"

# A base URL with a slash at its end gives //api/…
expect 200 "$(ask "$BASE//api/v1/tasks" -H "X-API-Key: $KEY")" "doubled slash"
echo "all well"

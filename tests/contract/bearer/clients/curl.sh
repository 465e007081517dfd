#!/usr/bin/env bash
# The flow of the library's documentation with curl: register, log in with a multipart form, ask for the own account, change
# it, log out; and what a superuser does with another account. Arguments: base URL, a new address, a superuser and its password.
set -euo pipefail
base=$1 email=$2 superuser=$3 password=$4
json='Content-Type: application/json'
ask() { curl -sS -f "$@"; }
status() { curl -sS -o /dev/null -w '%{http_code}' "$@"; }
log_in() {
    ask -H 'Content-Type: multipart/form-data' -X POST -F "username=$1" -F "password=$2" "$base/auth/jwt/login" |
        sed -E 's/.*"access_token":"([^"]+)".*/\1/'
}

new="{\"email\": \"$email\", \"password\": \"guinevere\"}"
made=$(ask -H "$json" -X POST -d "$new" "$base/auth/register")
grep -q '"is_active":true' <<<"$made" && grep -q '"is_superuser":false' <<<"$made"
id=$(sed -E 's/.*"id":"([^"]+)".*/\1/' <<<"$made")
[ "$(status -H "$json" -X POST -d "$new" "$base/auth/register")" = 400 ]

token=$(log_in "$email" guinevere)
[ "$(grep -o '\.' <<<"$token" | wc -l)" = 2 ]
own="Authorization: Bearer $token"
ask -H "$own" "$base/users/me" | grep -q "\"email\":\"$email\""
ask -X PATCH -H "$json" -H "$own" -d '{"password": "lancelot"}' "$base/users/me" | grep -q "\"id\":\"$id\""
[ "$(status -X POST -F "username=$email" -F password=guinevere "$base/auth/jwt/login")" = 400 ]
own="Authorization: Bearer $(log_in "$email" lancelot)"
[ "$(status -H "$own" "$base/users/$id")" = 403 ]

above="Authorization: Bearer $(log_in "$superuser" "$password")"
ask -H "$above" "$base/users/$id" | grep -q "\"email\":\"$email\""
ask -X PATCH -H "$json" -H "$above" -d '{"is_superuser": true}' "$base/users/$id" | grep -q '"is_superuser":true'
own="Authorization: Bearer $(log_in "$email" lancelot)"
ask -H "$own" "$base/users/$id" >/dev/null

[ "$(status -X POST -H "$own" "$base/auth/jwt/logout")" = 204 ]
[ "$(status -H "$own" "$base/users/me")" = 401 ]
[ "$(status -X DELETE -H "$above" "$base/users/$id")" = 204 ]
[ "$(status -H "$above" "$base/users/$id")" = 404 ]

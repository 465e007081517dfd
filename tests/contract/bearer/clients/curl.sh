#!/usr/bin/env bash
# The curl calls of the library's documentation: register, log in with a multipart form, ask for the own account, log out.
set -euo pipefail
base=$1 email=$2 password=$3
unset http_proxy HTTP_PROXY

login=$(curl -sS -f -X POST -H 'Content-Type: multipart/form-data' \
    -F "username=$email" -F "password=$password" "$base/auth/jwt/login")
token=$(sed -E 's/.*"access_token":"([^"]+)".*/\1/' <<<"$login")
[ "$(grep -o '\.' <<<"$token" | wc -l)" = 2 ]

curl -sS -f -H "Authorization: Bearer $token" "$base/users/me" | grep -q "\"email\":\"$email\""

status=$(curl -sS -o /dev/null -w '%{http_code}' -X POST -H 'Content-Type: application/json' \
    -d "{\"email\":\"$email\",\"password\":\"$password\"}" "$base/auth/register")
[ "$status" = 400 ]

status=$(curl -sS -o /dev/null -w '%{http_code}' -X POST -H "Authorization: Bearer $token" "$base/auth/jwt/logout")
[ "$status" = 204 ]
status=$(curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$base/users/me")
[ "$status" = 401 ]

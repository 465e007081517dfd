"""The robust Python client: a retry loop that sleeps int(Retry-After) on 429 and logs in again on 401."""

import json
import sys
import urllib.error
import urllib.request

BASE, USERNAME, PASSWORD, KEY = sys.argv[1:5]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(method, path, data=None, headers=None):
    payload = None if data is None else json.dumps(data).encode()
    headers = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(BASE + path, payload, headers, method=method)
    try:
        with OPENER.open(request, timeout=10) as reply:
            return reply.status, reply.headers, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


status, _, login = ask("POST", "/api/v1/auth/login", {"username": USERNAME, "password": PASSWORD})
assert status == 200, login
bearer = {"Authorization": "Bearer " + login["access_token"]}

# A key with a small limit of its own runs into 429.
status, _, made = ask("POST", "/api/v1/auth/api-keys",
                      {"name": "robust", "scopes": ["READ"], "rate_limit_per_hour": 2}, bearer)
assert status == 201, made
key = {"X-API-Key": made["api_key"]}
seen = [ask("GET", "/api/v1/tasks", headers=key) for _ in range(3)]
assert [reply[0] for reply in seen] == [200, 200, 429], seen
status, headers, body = seen[-1]
wait = int(headers["Retry-After"])
assert wait >= 1 and body["retry_after"] == wait, (wait, body)
assert int(headers["X-RateLimit-Limit"]) == 2 and int(headers["X-RateLimit-Remaining"]) == 0
assert int(headers["X-RateLimit-Reset"]) > 1_700_000_000
assert body["error"] == body["detail"] == "Rate limit exceeded" and body["status_code"] == 429

# On 401 it refreshes with the bad token still in the header.
status, _, fresh = ask("POST", "/api/v1/auth/refresh",
                       {"refresh_token": login["refresh_token"]}, {"Authorization": "Bearer bad"})
assert status == 200 and fresh["refresh_token"] != login["refresh_token"], fresh
status, _, body = ask("GET", "/api/v1/tasks",
                      headers={"Authorization": "Bearer " + fresh["access_token"]})
assert status == 200, body
print("all well")

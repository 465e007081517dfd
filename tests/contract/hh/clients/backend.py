"""The guide's back end: somebody logs in, the service trades the exchange code and calls with the session from then on.
Argument: the line of the demo. Exits 0 when all went as the guide says."""

import http.cookiejar
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

FACTS = json.loads(sys.argv[1])
BASE = FACTS["mounts"]["hh"]["url"]
DIRECT = urllib.request.ProxyHandler({})


class AuthClient:
    """What the guide's client is, by the standard library."""

    def __init__(self, base):
        self.base = base
        self.opener = urllib.request.build_opener(DIRECT)

    def call(self, path, body=None, query=None):
        url = self.base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        try:
            with self.opener.open(request, timeout=10) as reply:
                return reply.status, reply.headers, json.load(reply)
        except urllib.error.HTTPError as reply:
            return reply.code, reply.headers, json.load(reply)


def log_in():
    """The browser: follows the redirects, reads the element of the callback page."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(DIRECT, urllib.request.HTTPCookieProcessor(jar))
    browser.addheaders = [("Accept", "text/html")]
    with browser.open(BASE + "/auth/login", timeout=10) as page:
        return re.search(r'id="exchange-code"[^>]*value="([^"]+)"', page.read().decode()).group(1)


def error(reply, status, detail):
    assert reply[0] == status and reply[2]["detail"] == detail, reply


client = AuthClient(BASE)
toy = AuthClient(FACTS["provider"]["url"])
assert toy.call("/toy", {"instant": True})[0] == 200

code = log_in()
with ThreadPoolExecutor(2) as both:
    replies = list(both.map(lambda _: client.call("/auth/exchange", {"exchange_code": code}), range(2)))
replies.sort(key=lambda reply: reply[0])
assert [reply[0] for reply in replies] == [200, 400], replies
error(replies[1], 400, "Invalid or expired exchange code")
session = replies[0][2]["session_id"]
assert replies[0][2]["expires_at"].endswith("Z")

status, headers, user = client.call("/users/me", query={"session_id": session})
assert status == 200 and isinstance(user["id"], int) and isinstance(user["hh_user_id"], str), user
assert user["full_name"] and user["is_active"] is True, user
for name in ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]:
    assert int(headers[name]) >= 0, name
for path in ["/auth/token", "/auth/refresh"]:
    status, _, token = client.call(path, {"session_id": session})
    assert status == 200 and token["token_type"] == "Bearer" and token["access_token"], token

with ThreadPoolExecutor(20) as many:
    tokens = list(many.map(lambda _: client.call("/auth/token", {"session_id": session}), range(20)))
assert {reply[0] for reply in tokens} == {200}, tokens
assert len({reply[2]["access_token"] for reply in tokens}) == 1

assert client.call("/auth/logout", {"session_id": session})[0] == 200
for path in ["/auth/token", "/auth/refresh", "/auth/logout"]:
    error(client.call(path, {"session_id": session}), 401, "Invalid session")
error(client.call("/users/me", query={"session_id": session}), 401, "Invalid session")
status, _, health = client.call("/health")
assert status == 200 and health["status"] == "healthy" and health["version"] == "2.0.0", health

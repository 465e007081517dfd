"""The Python client with JWT: one 401, one refresh; refresh 401, log in. Uses httpx where it is installed, as the guide
does, else the standard library with the same behaviour (raise on anything that is no 2xx, no redirects followed)."""

import json
import sys
import time
import urllib.error
import urllib.request

BASE, USERNAME, PASSWORD, KEY = sys.argv[1:5]


class StatusError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:200]!r}")
        self.status, self.body = status, body


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect(), urllib.request.ProxyHandler({}))


def ask(method, path, data=None, headers=None):
    try:
        import httpx
    except ImportError:
        httpx = None
    if httpx is not None:
        reply = httpx.request(method, BASE + path, json=data, headers=headers, trust_env=False)
        if not reply.is_success:
            raise StatusError(reply.status_code, reply.content)
        return reply.json()
    headers = dict(headers or {})
    payload = None
    if data is not None:
        payload = json.dumps(data).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(BASE + path, payload, headers, method=method)
    try:
        with OPENER.open(request, timeout=5) as reply:
            # Always parsed: a 204 would raise here (trap 2).
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        raise StatusError(error.code, error.read()) from None


class Client:
    def __init__(self):
        self.access = self.refresh_token = None
        self.expires_at = 0.0
        self.refreshes = self.logins = 0

    def login(self):
        self.logins += 1
        self.take(ask("POST", "/api/v1/auth/login", {"username": USERNAME, "password": PASSWORD}))

    def take(self, data):
        self.access, self.refresh_token = data["access_token"], data["refresh_token"]
        self.expires_at = time.time() + data["expires_in"]

    def refresh(self):
        self.refreshes += 1
        try:
            self.take(ask("POST", "/api/v1/auth/refresh", {"refresh_token": self.refresh_token}))
        except StatusError as error:
            if error.status != 401:
                raise
            self.login()

    def request(self, method, path, data=None):
        # Five minutes before the end the client refreshes (trap 3).
        if self.access is None:
            self.login()
        elif time.time() > self.expires_at - 300:
            self.refresh()
        for _ in range(2):
            try:
                return ask(method, path, data, {"Authorization": f"Bearer {self.access}"})
            except StatusError as error:
                if error.status != 401:
                    raise
                self.refresh()
        raise AssertionError("401 twice")


def main():
    client = Client()
    task = client.request(
        "POST", "/api/v1/tasks", {"title": "Python", "description": "d", "priority": "high"}
    )
    assert task["task"]["id"], task
    listed = client.request("GET", "/api/v1/tasks")
    assert listed["total"] >= 1, listed
    found = client.request("POST", "/api/v1/memory/search", {"query": "python", "limit": 10})
    assert isinstance(found["results"], list), found
    assert (client.logins, client.refreshes) == (1, 0), "no needless refresh"

    # A token that went bad: one refresh, and the call succeeds.
    client.access = client.access[:-4] + "AAAA"
    client.request("GET", "/api/v1/tasks")
    assert (client.logins, client.refreshes) == (1, 1), (client.logins, client.refreshes)

    # Both went bad: refresh answers 401, the client logs in again.
    client.access, client.refresh_token = "bad", "bad.token"
    client.request("GET", "/api/v1/tasks")
    assert client.logins == 2, client.logins

    # The slash the original upstream redirects on (trap 4).
    client.request("GET", "/api/v1/tasks/")

    # With a key.
    assert ask("GET", "/api/v1/tasks", headers={"X-API-Key": KEY})["total"] >= 1

    # Wrong password: exactly 401, and a body with error.
    try:
        ask("POST", "/api/v1/auth/login", {"username": "nobody-python", "password": "wrong"})
        raise SystemExit("a wrong password logged in")
    except StatusError as error:
        assert error.status == 401 and json.loads(error.body)["error"], error

    # Logging out answers JSON.
    ask("POST", "/api/v1/auth/logout", {"refresh_token": client.refresh_token},
        {"Authorization": f"Bearer {client.access}"})
    try:
        ask("GET", "/api/v1/tasks", headers={"Authorization": f"Bearer {client.access}"})
        raise SystemExit("the token outlived the logout")
    except StatusError as error:
        assert error.status == 401, error
    print("all well")


main()

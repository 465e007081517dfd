"""Pattern 2 of the guide: on a 401 log in and try once more; anything else is an error."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire

BASE, USERNAME, PASSWORD = sys.argv[1:4]


class Client:
    def __init__(self):
        self.token, self.logins = None, 0

    def login(self):
        reply = wire.post(f"{BASE}/auth/jwt/login", data={"username": USERNAME, "password": PASSWORD})
        if reply.status_code != 200:
            raise RuntimeError(f"login: {reply.status_code} {reply.text}")
        self.token, self.logins = reply.json()["access_token"], self.logins + 1

    def call(self, path, body):
        if self.token is None:
            self.login()
        for last in (False, True):
            headers = {"Authorization": f"Bearer {self.token}"}
            reply = wire.post(BASE + path, json_body=body, headers=headers)
            if reply.status_code == 200:
                return reply.json()
            if reply.status_code != 401 or last:
                raise RuntimeError(f"{path}: {reply.status_code} {reply.text}")
            self.login()


client = Client()
assert client.call("/api/sum", {"a": 1, "b": 2})["result"] == 3

# Logged out elsewhere: one 401, one login, the sum.
headers = {"Authorization": f"Bearer {client.token}"}
assert wire.post(f"{BASE}/auth/jwt/logout", headers=headers).status_code == 204
assert client.call("/api/sum", {"a": 2, "b": 2})["result"] == 4
assert client.logins == 2, client.logins

# A permission problem is final: no login.
try:
    headers = {"Authorization": f"Bearer {client.token}"}
    client.call("/users/me/nothing", {})
    raise SystemExit("that path must be refused")
except RuntimeError as error:
    assert "401" not in str(error), error
assert client.logins == 2, client.logins

# What the upstream itself refuses with 401 ends after one more try.
try:
    client.call("/api/bad", {})
    raise SystemExit("the upstream refuses that")
except RuntimeError as error:
    assert "401" in str(error), error
assert client.logins == 3, client.logins

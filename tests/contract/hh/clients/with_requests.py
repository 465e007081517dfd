"""What the guide does with `requests`: a client of a back end, an administrator's, a careful caller that tells the status
codes apart, a monitor, and one that waits for `Retry-After`. Argument: the line of the demo."""

import json
import sys
import time

import requests

FACTS = json.loads(sys.argv[1])
BASE = FACTS["mounts"]["hh"]["url"]
PROVIDER = FACTS["provider"]["url"]
PERSON = FACTS["provider"]["person"]
ACCOUNT = next(one for one in FACTS["accounts"]["hh"] if one["scheme"] == "basic")


class BackEnd:
    """Keeps a session, asks for the provider's token when it needs one, and calls the provider itself."""

    def __init__(self):
        self.session_id = self.access_token = None
        self.renewals = 0

    def post(self, path, **body):
        reply = requests.post(f"{BASE}{path}", json=body)
        reply.raise_for_status()
        return reply.json()

    def exchange(self, code):
        data = self.post("/auth/exchange", exchange_code=code)
        self.session_id = data["session_id"]
        return data["expires_at"]

    def token(self, force=False):
        path = "/auth/refresh" if force else "/auth/token"
        self.access_token = self.post(path, session_id=self.session_id)["access_token"]
        return self.access_token

    def person(self):
        reply = requests.get(f"{BASE}/users/me", params={"session_id": self.session_id})
        reply.raise_for_status()
        return reply.json()

    def call(self, path):
        if not self.access_token:
            self.token()
        for last in (False, True):
            reply = requests.get(PROVIDER + path, headers={"Authorization": f"Bearer {self.access_token}"})
            if reply.status_code != 401 or last:
                reply.raise_for_status()
                return reply.json()
            self.renewals += 1
            self.token(force=True)

    def log_out(self):
        self.post("/auth/logout", session_id=self.session_id)
        self.session_id = self.access_token = None


class Administrator:
    def __init__(self):
        self.auth = (ACCOUNT["username"], ACCOUNT["password"])

    def ask(self, method, path, **more):
        reply = requests.request(method, f"{BASE}/admin{path}", auth=self.auth, **more)
        reply.raise_for_status()
        return reply.json()


def careful(path, **more):
    """Every class of failure has its own word; only a success has a body that is read."""
    reply = requests.request(more.pop("method", "GET"), BASE + path, timeout=10, **more)
    match reply.status_code:
        case 400:
            return f"bad request: {reply.json().get('detail')}"
        case 401:
            return "log in again"
        case 403:
            return "not on the list"
        case 404:
            return "nothing there"
        case status if status >= 500:
            return "trouble"
    reply.raise_for_status()
    return reply.json()


def exchange_code():
    """The person: logs in, reads the page, and types the code in."""
    page = requests.Session().get(f"{BASE}/auth/login")
    page.raise_for_status()
    return page.text.split('id="exchange-code"')[1].split('value="')[1].split('"')[0]


administrator = Administrator()
made = administrator.ask("POST", "/users/allow", json={"hh_user_id": "12345678", "comment": ""})
assert made["hh_user_id"] == "12345678" and made["comment"] == "" and made["is_active"], made
listed = administrator.ask("GET", "/users")
assert {"12345678", PERSON} <= {user["hh_user_id"] for user in listed["users"]}, listed
assert administrator.ask("DELETE", "/users/12345678")["message"]

client = BackEnd()
assert client.exchange(exchange_code()).endswith("Z")
assert client.person()["hh_user_id"] == PERSON and client.person()["full_name"], client.person()
assert client.call("/me")["id"] == PERSON
first = client.access_token
assert client.token(force=True) == client.token() == first, "the provider renews nothing before its end"
assert client.renewals == 0
# A token the provider does not take: the client asks for another; it answers 403, which is no reason to ask (trap 5).
client.access_token = "made-up"
try:
    client.call("/me")
    raise SystemExit("the provider took a made-up token")
except requests.HTTPError as error:
    assert error.response.status_code == 403, error

sessions = administrator.ask("GET", "/sessions")["sessions"]
assert [one["user"]["full_name"] for one in sessions] == [client.person()["full_name"]], sessions
audit = administrator.ask("GET", "/audit-log", params={"limit": 10, "offset": 0})
assert audit["total"] >= 2 and audit["limit"] == 10, audit
login = next(event for event in audit["events"] if event["event_type"] == "login")
assert login["user_id"] == client.person()["id"] and login["event_metadata"]["user_agent"], audit

assert careful("/users/me", params={"session_id": client.session_id})["hh_user_id"] == PERSON
assert careful("/users/me", params={"session_id": "made-up"}) == "log in again"
spent = careful("/auth/exchange", method="POST", json={"exchange_code": "made-up"})
assert spent == "bad request: Invalid or expired exchange code", spent
assert careful("/nowhere") == "nothing there"
assert careful("/admin/sessions/none", method="DELETE", auth=administrator.auth) == "nothing there"
requests.post(f"{PROVIDER}/toy", json={"person": "7777777"}).raise_for_status()
assert requests.Session().get(f"{BASE}/auth/login").status_code == 403
requests.post(f"{PROVIDER}/toy", json={"person": PERSON}).raise_for_status()

assert administrator.ask("DELETE", f"/sessions/{sessions[0]['id']}")["message"]
assert careful("/users/me", params={"session_id": client.session_id}) == "log in again"
client.exchange(exchange_code())
client.token()
client.log_out()

health = requests.get(f"{BASE}/health", timeout=5)
assert health.status_code == 200 and health.json()["status"] == "healthy", health.text

# A hundred a minute, then it is told how long to wait; whoever waits that long is served again.
waits = []
for _ in range(110):
    reply = requests.get(f"{BASE}/ping")
    if reply.status_code == 429:
        assert reply.json() == {"detail": "Rate limit exceeded"}, reply.text
        assert reply.headers["X-RateLimit-Limit"] == "100" and reply.headers["X-RateLimit-Remaining"] == "0"
        waits.append(int(reply.headers.get("Retry-After", 60)))
        break
assert waits and 1 <= waits[0] <= 60, waits
time.sleep(waits[0])
assert requests.get(f"{BASE}/ping").status_code == 200

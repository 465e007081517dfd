"""The client of the manual: the same paths, headers, bodies and readings of status codes. Uses httpx where it is installed, as
the manual's does, else the standard library."""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

try:
    import httpx
except ImportError:
    httpx = None

BASE, SERVICE_KEY = sys.argv[1:3]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class InkPassError(Exception):
    pass


class Client:
    def __init__(self, base, api_key=None):
        self.base, self.api_key = base, api_key

    def ask(self, method, path, token=None, body=None, params=None):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif self.api_key:
            headers["X-API-Key"] = self.api_key
        if httpx is not None:
            # Five seconds, as the manual's client has it: httpx's own default.
            reply = httpx.request(method, self.base + path, headers=headers, json=body, params=params, trust_env=False)
            return reply.status_code, reply.json()
        if params:
            path += "?" + urllib.parse.urlencode(params)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with OPENER.open(request, timeout=5) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def register_user(self, email, password, organization_name=None):
        body = {"email": email, "password": password}
        if organization_name:
            body["organization_name"] = organization_name
        status, reply = self.ask("POST", "/api/v1/auth/register", body=body)
        if status != 201:
            raise InkPassError(reply)
        return reply

    def login(self, email, password):
        body = {"email": email, "password": password}
        status, reply = self.ask("POST", "/api/v1/auth/login", body=body)
        if status == 401:
            return None
        if status != 200:
            raise InkPassError(reply)
        return reply

    def validate_token(self, token):
        status, reply = self.ask("GET", "/api/v1/auth/me", token)
        if status == 401:
            return None
        if status != 200:
            raise InkPassError(reply)
        return reply

    def check_permission(self, token, resource, action, context=None):
        params = {"resource": resource, "action": action}
        status, reply = self.ask("POST", "/api/v1/auth/check", token, context or {}, params)
        return reply["has_permission"] if status == 200 else False


email = f"manual-{time.time_ns()}@example.com"
# A service key is sent with register and login, where nobody looks at it.
for client in (Client(BASE), Client(BASE + "/", SERVICE_KEY)):
    address = email if client.api_key is None else "key-" + email
    made = client.register_user(address, "secure_password", "My Company")
    assert made["user_id"] and made["email"] == address and made["organization_id"], made
    tokens = client.login(address, "secure_password")
    assert tokens["token_type"] == "bearer" and tokens["expires_in"] > 300, tokens
    user = client.validate_token(tokens["access_token"])
    assert user["id"] == made["user_id"] and user["email"] == address, user
    assert client.validate_token("invalid") is None
    assert client.login(address, "wrong") is None
    assert client.check_permission(tokens["access_token"], "workflows", "create") is True
    context = {"department": "sales"}
    assert client.check_permission(tokens["access_token"], "workflows", "create", context) is True
    assert client.check_permission("invalid", "workflows", "create") is False
try:
    Client(BASE).register_user(email, "secure_password")
except InkPassError:
    pass
else:
    raise AssertionError("registered twice")
print("ok")

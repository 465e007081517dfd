"""What both patterns need of httpx and PyJWT, by the standard library where those are not installed: a status, a text, JSON; a form is
sent percent-encoded, no redirect is followed."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request


class Response:
    def __init__(self, status, body):
        self.status_code, self.text = status, body.decode()

    def json(self):
        return json.loads(self.text)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect(), urllib.request.ProxyHandler({}))


def post(url, data=None, json_body=None, headers=None):
    try:
        import httpx
    except ImportError:
        httpx = None
    if httpx is not None:
        reply = httpx.post(url, data=data, json=json_body, headers=headers, trust_env=False)
        return Response(reply.status_code, reply.content)
    headers = dict(headers or {})
    if json_body is not None:
        payload, kind = json.dumps(json_body).encode(), "application/json"
    else:
        payload, kind = urllib.parse.urlencode(data or {}).encode(), "application/x-www-form-urlencoded"
    headers["Content-Type"] = kind
    request = urllib.request.Request(url, payload, headers, method="POST")
    try:
        with OPENER.open(request, timeout=30) as reply:
            return Response(reply.status, reply.read())
    except urllib.error.HTTPError as error:
        return Response(error.code, error.read())


def decode(token):
    """Not verified: the client only wants to know until when."""
    try:
        import jwt
    except ImportError:
        jwt = None
    if jwt is not None:
        return jwt.decode(token, options={"verify_signature": False})
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

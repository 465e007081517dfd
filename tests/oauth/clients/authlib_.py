"""Authlib as a service account and as an application, PyJWT's PyJWKClient as a resource server."""

import html
import os
import re

import jwt
import requests
from authlib.integrations.requests_client import OAuth2Session

ISSUER = os.environ["ISSUER"]
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

about = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=10).json()
assert about["issuer"] == ISSUER

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def session(role, method):
    return OAuth2Session(
        os.environ[f"{role}_ID"],
        os.environ[f"{role}_SECRET"],
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope="READ",
    )


service = session("SERVICE", "client_secret_basic")
keys = jwt.PyJWKClient(about["jwks_uri"])

for method in ["client_secret_basic", "client_secret_post"]:
    client = session("CLIENT", method)
    granted = client.fetch_token(about["token_endpoint"], grant_type="client_credentials")
    token = granted["access_token"]
    key = keys.get_signing_key_from_jwt(token)
    said = jwt.decode(
        token, key, algorithms=["ES256"], audience=ISSUER, issuer=ISSUER, options={"require": ["exp", "iat", "jti"]}
    )
    assert said["client_id"] == os.environ["CLIENT_ID"]
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert client.get(f"{ISSUER}/anybody/x").status_code == 200

    told = service.introspect_token(about["introspection_endpoint"], token=token).json()
    assert told["active"] is True and told["scope"] == "READ", told

    narrower = client.fetch_token(
        about["token_endpoint"],
        grant_type=EXCHANGE,
        subject_token=os.environ["LOGIN"],
        subject_token_type=ACCESS_TOKEN,
        scope="READ",
    )
    told = service.introspect_token(about["introspection_endpoint"], token=narrower["access_token"]).json()
    assert told["active"] is True and told["act"]["sub"] == os.environ["CLIENT_ID"], told

    assert client.revoke_token(about["revocation_endpoint"], token=token).status_code == 200
    told = service.introspect_token(about["introspection_endpoint"], token=token).json()
    assert told == {"active": False}, told

application = OAuth2Session(
    os.environ["CLIENT_ID"],
    os.environ["CLIENT_SECRET"],
    redirect_uri=os.environ["REDIRECT_URI"],
    scope="READ",
    code_challenge_method="S256",
)
VERIFIER = "a-verifier-that-is-long-enough-to-be-one-0123456789"
url, state = application.create_authorization_url(about["authorization_endpoint"], code_verifier=VERIFIER)
shown = requests.get(url, timeout=10)
cookie = shown.headers["set-cookie"].split(";")[0]


def hidden(name):
    return html.unescape(re.search(f'name="{name}" value="([^"]*)"', shown.text).group(1))


form = {name: hidden(name) for name in ["request", "proof"]}
form |= {"username": os.environ["NAME"], "password": os.environ["PASSWORD"]}
sent = requests.post(
    about["authorization_endpoint"], data=form, headers={"cookie": cookie}, allow_redirects=False, timeout=10
)
assert sent.status_code == 303, sent.text
logged = application.fetch_token(
    about["token_endpoint"], authorization_response=sent.headers["location"], state=state, code_verifier=VERIFIER
)
said = jwt.decode(
    logged["access_token"],
    keys.get_signing_key_from_jwt(logged["access_token"]),
    algorithms=["ES256"],
    audience=ISSUER,
    issuer=ISSUER,
)
assert said["username"] == os.environ["NAME"]
renewed = application.refresh_token(about["token_endpoint"], refresh_token=logged["refresh_token"])
assert renewed["refresh_token"] != logged["refresh_token"]

"""Writes keys and tokens, clean and mutated: make.py SEED COUNT > file. One JSON object a line; the first has the keys."""
import base64, hashlib, hmac, json, random, sys, time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

rng = random.Random(int(sys.argv[1]))
count = int(sys.argv[2])
now = int(time.time())
b64 = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
number = lambda n, size=None: b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))

secret = rng.randbytes(48)
rsa_key = rsa.generate_private_key(65537, 2048)
ec_key = ec.generate_private_key(ec.SECP256R1())
ed_key = ed25519.Ed25519PrivateKey.generate()
other = rng.randbytes(48)
rsa_numbers = rsa_key.public_key().public_numbers()
ec_numbers = ec_key.public_key().public_numbers()
ed_raw = ed_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
KEYS = {
    "HS256": {"kty": "oct", "k": b64(secret)},
    "RS256": {"kty": "RSA", "n": number(rsa_numbers.n), "e": number(rsa_numbers.e)},
    "ES256": {"kty": "EC", "crv": "P-256", "x": number(ec_numbers.x, 32), "y": number(ec_numbers.y, 32)},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519", "x": b64(ed_raw)},
}
PUBLIC = [
    rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    ec_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ed_raw,
    b"",
    b"secret",
]


def hs(key, text, digest=hashlib.sha256):
    return hmac.new(key, text, digest).digest()


def sign(alg, text):
    if alg == "HS256":
        return hs(secret, text)
    if alg == "RS256":
        return rsa_key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    if alg == "EdDSA":
        return ed_key.sign(text)
    r, s = decode_dss_signature(ec_key.sign(text, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(alg, header, payload):
    text = b64(header.encode()) + "." + b64(payload.encode())
    return text + "." + b64(sign(alg, text.encode()))


def claims():
    return {
        "iss": "issuer", "aud": "audience", "sub": "somebody", "jti": "%032x" % rng.getrandbits(128),
        "iat": now - rng.randint(0, 5000), "exp": now + rng.randint(1000, 9000), "roles": ["USER"],
    }


ODD = ["", "x", 0, -1, 1.5, True, None, [], {}, ["audience"], ["issuer"], "audience", "issuer", "9999999999", 1e300,
       10**30, now + 2000, now - 2000, str(now + 2000), [now + 2000], "Infinity"]
ODD_TEXT = ["1e999", "-0", "NaN", "Infinity", "01", "+1", "0x7fffffff", "1_0", "'x'", "\"\\ud800\"", "\"\\u0000\""]


def clean(alg):
    header = {"alg": alg, "typ": "JWT"}
    if rng.random() < 0.3:
        del header["typ"]
    body = claims()
    if rng.random() < 0.3:
        body["nbf"] = now - 1000
    if rng.random() < 0.2:
        body["aud"] = ["other", "audience"]
    if rng.random() < 0.2:
        body["note"] = {"deep": [[1, 2.5, "\u00fc"]]}
    return token(alg, json.dumps(header, separators=rng.choice([(",", ":"), (", ", ": ")])), json.dumps(body, ensure_ascii=rng.random() < 0.5))


def flipped(alg):
    """A character of the text changed, lost, doubled or added."""
    text = clean(alg)
    at = rng.randrange(len(text))
    alphabet = "ABCXYZabcxyz0189-_.=+/ %\u00e9\n\t~"
    kind = rng.randrange(5)
    if kind == 0:
        return text[:at] + rng.choice(alphabet) + text[at + 1:]
    if kind == 1:
        return text[:at] + text[at + 1:]
    if kind == 2:
        return text[:at] + text[at] + text[at:]
    if kind == 3:
        return text[:at] + rng.choice(alphabet) + text[at:]
    return text[:at]


def loose(alg):
    """Loose trailing bits of a part: another spelling of the same bytes."""
    parts = clean(alg).split(".")
    which = rng.randrange(3)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    part = parts[which]
    parts[which] = part[:-1] + last[last.index(part[-1]) ^ rng.choice([1, 2, 3])]
    return ".".join(parts)


def padded(alg):
    parts = clean(alg).split(".")
    which = rng.randrange(3)
    parts[which] += rng.choice(["=", "==", "===", "\n", " ", "\r\n", "%3D", "\u00ad"])
    return ".".join(parts)


def parts(alg):
    h, p, s = clean(alg).split(".")
    return rng.choice([f"{h}.{p}.", f"{h}.{p}", f"{h}..{s}", f".{p}.{s}", f"{h}.{p}.{s}.", f"{h}.{p}.{s}.{s}",
                       f"{p}.{h}.{s}", f"{h}.{s}.{p}", f"{h}.{p}.{s}.{s}.{s}", f".{h}.{p}.{s}", "..", "", h, f"{h}.{h}.{s}"])


def header(alg):
    """A header that means something else, signed by the right key."""
    text = '"alg":%s' % json.dumps(rng.choice([alg, "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256",
                                               "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "hs256", alg + " ", alg.lower(), None, 1, [alg]]))
    more = rng.choice(["", "", ',"typ":"JWT"', ',"crit":["exp"]', ',"crit":[]', ',"b64":false,"crit":["b64"]', ',"kid":"nobody"', ',"kid":1',
                       ',"jku":"http://127.0.0.1:9/"', ',"x5u":"http://127.0.0.1:9/"', ',"x5c":["AAAA"]', ',"cty":"JWT"', ',"zip":"DEF"',
                       ',"enc":"A128GCM"', ',"alg":"%s"' % alg, ',"alg":"none"', ',"typ":"JWE"', ',"typ":1',
                       ',"jwk":' + json.dumps({"kty": "oct", "k": b64(other)})])
    return token(alg, "{" + text + more + "}" + rng.choice(["", "", "", " ", "x", "\n", "\x00"]), json.dumps(claims()))


def claim(alg):
    """One claim in a wrong form, signed by the right key."""
    body = claims()
    name = rng.choice(["exp", "exp", "nbf", "iat", "iss", "aud", "sub", "jti"])
    kind = rng.randrange(4)
    if kind == 0:
        body.pop(name, None)
    elif kind == 1:
        body[name] = rng.choice(ODD)
    text = json.dumps(body)
    if kind == 2:
        body.pop(name, None)
        text = json.dumps(body)[:-1] + ', "%s": %s}' % (name, rng.choice(ODD_TEXT))
    elif kind == 3:
        text = text[:-1] + ', "%s": %s}' % (name, json.dumps(rng.choice(ODD)))
    return token(alg, json.dumps({"alg": alg}), text)


def form(alg):
    """A payload that is no object of claims."""
    body = json.dumps(claims())
    return token(alg, json.dumps({"alg": alg}), rng.choice(["", "null", "[]", "1", '"x"', body + "x", body + body, "[" + body + "]", body[:-1], body[:-1] + ",}",
                                                            "\ufeff" + body, body + "\x00", body[:-1] + ', "a": ' + "[" * 40 + "]" * 40 + "}"]))


def confused(alg):
    """Signed with something public, or with nothing."""
    name = rng.choice(["HS256", "HS384", "HS512"])
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[name]
    text = b64(json.dumps({"alg": rng.choice([name, alg])}).encode()) + "." + b64(json.dumps(claims()).encode())
    return text + "." + b64(hs(rng.choice(PUBLIC + [other]), text.encode(), digest))


def blank(alg):
    """A signature of zeros, of another message, of another length or in another form."""
    h, p, s = clean(alg).split(".")
    raw = base64.urlsafe_b64decode(s + "==")
    other_s = clean(alg).split(".")[2]
    der = ec_key.sign((h + "." + p).encode(), ec.ECDSA(hashes.SHA256()))
    return f"{h}.{p}." + rng.choice([b64(bytes(len(raw))), b64(b"\xff" * len(raw)), other_s, b64(raw[:-1]), b64(raw + b"\0"), b64(b"\0" + raw),
                                     b64(raw[::-1]), b64(der), b64(raw[len(raw) // 2:] + raw[:len(raw) // 2])])


def crossed(alg):
    """The token of another key of ours."""
    name = rng.choice([own for own in KEYS if own != alg])
    return token(name, json.dumps({"alg": rng.choice([alg, name])}), json.dumps(claims()))


MUTATIONS = [flipped, flipped, loose, padded, parts, header, header, claim, claim, claim, form, confused, blank, crossed]

print(json.dumps(KEYS))
for index in range(count):
    alg = rng.choice(["HS256", "HS256", "ES256", "EdDSA", "RS256"])
    mutation = clean if index % 10 == 0 else rng.choice(MUTATIONS)
    print(json.dumps({"alg": alg, "kind": mutation.__name__, "token": mutation(alg)}))

"""PyJWT's verdict on each token of standard input, one character each."""
import json, sys

import jwt

keys = {alg: jwt.PyJWK({**jwk, "alg": alg}).key for alg, jwk in json.loads(sys.stdin.readline()).items()}
out = []
for line in sys.stdin:
    case = json.loads(line)
    try:
        jwt.decode(case["token"], keys[case["alg"]], algorithms=[case["alg"]], audience="audience", issuer="issuer", options={"require": ["exp", "iss", "aud"]})
        out.append("1")
    except Exception:
        out.append("0")
print("".join(out))

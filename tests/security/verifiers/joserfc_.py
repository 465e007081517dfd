"""joserfc's verdict on each token of standard input, one character each."""
import json, sys

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

KINDS = {"oct": OctKey, "RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
keys = {alg: KINDS[jwk["kty"]].import_key(jwk) for alg, jwk in json.loads(sys.stdin.readline()).items()}
claims = jwt.JWTClaimsRegistry(iss={"essential": True, "value": "issuer"}, aud={"essential": True, "value": "audience"}, exp={"essential": True})
out = []
for line in sys.stdin:
    case = json.loads(line)
    try:
        token = jwt.decode(case["token"], keys[case["alg"]], algorithms=[case["alg"]])
        claims.validate(token.claims)
        out.append("1")
    except Exception:
        out.append("0")
print("".join(out))

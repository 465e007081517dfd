//! The public keys of a mount as a JWK set (RFC 7517), for services that verify our tokens by themselves.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKeyKind};
use serde_json::{Value, json};

use super::Identity;
use crate::{
    model::MountName,
    pipeline::jwt::{VerificationKey, algorithm_name},
};

/// First byte of an uncompressed point (SEC 1 section 2.3.3), and the length of each coordinate on P-256.
const UNCOMPRESSED: u8 = 4;
const COORDINATE: usize = 32;

impl Identity {
    /// Every key that verifies tokens of the mount now, newest first, retired ones included. A shared secret is no public
    /// key: then the set is empty.
    pub fn jwks(&self, mount: &MountName) -> Value {
        let keys = self.verification_keys(mount);
        json!({ "keys": keys.iter().filter_map(jwk).collect::<Vec<_>>() })
    }
}

fn jwk(key: &VerificationKey) -> Option<Value> {
    let DecodingKeyKind::SecretOrDer(bytes) = key.key.kind() else { return None };
    let coded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let mut jwk = match key.algorithm {
        Algorithm::RS256 => {
            let (n, e) = rsa_numbers(bytes)?;
            json!({ "kty": "RSA", "n": coded(n), "e": coded(e) })
        }
        Algorithm::ES256 => {
            let point = bytes.strip_prefix(&[UNCOMPRESSED])?;
            let (x, y) = point.split_at_checked(COORDINATE)?;
            if y.len() != COORDINATE {
                return None;
            }
            json!({ "kty": "EC", "crv": "P-256", "x": coded(x), "y": coded(y) })
        }
        Algorithm::EdDSA => json!({ "kty": "OKP", "crv": "Ed25519", "x": coded(bytes) }),
        // Nothing of a secret is ever shown.
        _ => return None,
    };
    let about = jwk.as_object_mut()?;
    about.insert("kid".to_owned(), (*key.kid).into());
    about.insert("alg".to_owned(), algorithm_name(key.algorithm)?.into());
    about.insert("use".to_owned(), "sig".into());
    Some(jwk)
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017 appendix A.1.1), without the zero byte that keeps DER positive.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inner, rest) = element(der, 0x30)?;
    let (n, behind) = element(inner, 0x02)?;
    let (e, end) = element(behind, 0x02)?;
    let plain = |number: &'_ [u8]| number.iter().position(|byte| *byte != 0);
    let n = n.get(plain(n)?..)?;
    let e = e.get(plain(e)?..)?;
    (rest.is_empty() && end.is_empty()).then_some((n, e))
}

/// One DER element of this tag: its content, and what comes after.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(*short), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let fits = bytes.len() <= 4;
            let length = bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            (fits.then_some(length)?, rest)
        }
    };
    (*first == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};

    use crate::{
        identity::{Actor, test_kit::*},
        model::secret::ExposeSecret,
    };

    use super::*;

    #[tokio::test]
    async fn a_stranger_verifies_tokens_with_the_published_keys_retired_ones_included() {
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let kit = Kit::open(|settings| {
                settings.mounts[0].tokens.algorithm = algorithm;
                settings.mounts[0].tokens.key_id_in_header = true;
            })
            .await;
            kit.user("ada", &["USER"]).await;
            let old = kit.login("ada", GOOD).await.unwrap();
            kit.identity.rotate_signing_key(&api(), &Actor::operator()).await.unwrap();
            kit.identity.sign_with_newest(&api()).await;
            let new = kit.login("ada", GOOD).await.unwrap();

            let set = kit.identity.jwks(&api());
            assert_eq!(set["keys"].as_array().unwrap().len(), 2);
            let set: JwkSet = serde_json::from_value(set).unwrap();
            for granted in [old, new] {
                let token = granted.access_token.expose_secret();
                let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
                let key = DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
                let mut rules = Validation::new(algorithm);
                rules.set_audience(&["tmws-api"]);
                rules.validate_exp = false;
                jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn nothing_of_a_shared_secret_is_published() {
        let kit = Kit::open(|_| ()).await;
        assert_eq!(kit.identity.jwks(&api()), json!({ "keys": [] }));
        assert_eq!(kit.identity.jwks(&"nowhere".into()), json!({ "keys": [] }));
    }

    #[test]
    fn broken_keys_have_no_numbers() {
        for der in
            [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x05", b"\x02\x00"]
        {
            assert_eq!(rsa_numbers(der), None);
        }
    }
}

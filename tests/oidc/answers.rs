//! ID tokens that are none, or not for us, or not for this login.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    provider::{SECRET, merge},
    rig::{Rig, SESSION},
};
use crate::support::signer::{Signer, now};

fn coded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A login must fail at the answer of the provider.
async fn refused(rig: &Rig, what: &str) {
    let browser = rig.browser();
    let reply = rig.log_in(&browser, json!({ "sub": "ada" })).await;
    assert_eq!(reply.status, 502, "{what}: {}", reply.text());
    assert!(reply.text().contains("oidc_provider_wrong"), "{what}");
    assert!(browser.cookie(SESSION).is_none(), "{what}");
}

// requirement: 3, 34
#[tokio::test]
async fn an_id_token_with_other_claims_opens_nothing() {
    let rig = Rig::creating();
    for (what, more) in [
        ("another issuer", json!({ "iss": "https://evil.example" })),
        ("no issuer", json!({ "iss": null })),
        ("another audience", json!({ "aud": "other" })),
        ("several audiences and nobody named", json!({ "aud": ["portcullis", "other"] })),
        ("made for another party", json!({ "aud": ["portcullis", "other"], "azp": "other" })),
        ("no audience", json!({ "aud": null })),
        ("another nonce", json!({ "nonce": "replayed" })),
        ("no nonce", json!({ "nonce": null })),
        ("expired", json!({ "exp": now() - 60 })),
        ("no end", json!({ "exp": null })),
        ("issued later", json!({ "iat": now() + 600 })),
        ("no iat", json!({ "iat": null })),
        ("another access token", json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" })),
        ("nobody", json!({ "sub": null })),
        ("a person without a name", json!({ "sub": "" })),
        ("a person with a blank", json!({ "sub": "a b" })),
        ("a person with a line break", json!({ "sub": "a\r\nx: y" })),
    ] {
        rig.provider.claiming(move |claims| merge(claims, &more));
        refused(&rig, what).await;
    }
    rig.provider.behaves();
    rig.logged_in("ada").await;
}

// requirement: 1, 2, 34
#[tokio::test]
async fn an_id_token_that_its_keys_did_not_sign_opens_nothing() {
    let rig = Rig::creating();
    let plain = |alg: &str| json!({ "alg": alg, "kid": "k1", "typ": "JWT" });
    rig.provider.signing(move |_, claims| format!("{}.{}.", coded(&plain("none")), coded(claims)));
    refused(&rig, "alg none").await;
    rig.provider.signing(move |_, claims| {
        let secret = Signer::secret("k1", SECRET);
        secret.sign_as(&json!({ "alg": "HS256", "kid": "k1", "typ": "JWT" }), claims)
    });
    refused(&rig, "HS256 with our secret").await;
    rig.provider.signing(move |signer, claims| {
        let public = Signer::secret("k1", &signer.jwk().to_string());
        public.sign_as(&json!({ "alg": "HS256", "typ": "JWT" }), claims)
    });
    refused(&rig, "HS256 with the public key").await;
    rig.provider.signing(move |_, claims| {
        let other = Signer::rsa("k1", "RS256");
        other.sign_as(&json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" }), claims)
    });
    refused(&rig, "another key under the same name").await;
    rig.provider.signing(move |_, claims| {
        let other = Signer::rsa("k2", "RS256");
        let header = json!({ "alg": "RS256", "kid": "k2", "typ": "JWT", "jwk": other.jwk() });
        other.sign_as(&header, claims)
    });
    refused(&rig, "a key that the token brings along").await;
    for kind in ["at+jwt", "logout+jwt"] {
        rig.provider.signing(move |signer, claims| {
            signer.sign_as(&json!({ "alg": "RS256", "kid": "k1", "typ": kind }), claims)
        });
        refused(&rig, kind).await;
    }
    rig.provider.signing(|_, _| "<html>".to_owned());
    refused(&rig, "no token at all").await;
    rig.provider.behaves();
    rig.logged_in("ada").await;
    let told: Vec<Value> = rig.gateway.log();
    let told: Vec<_> = told.iter().filter(|line| line["event"] == "oidc_provider_failed").collect();
    assert!(told.len() >= 7 && told.iter().all(|line| line["step"] == "id_token"), "{told:?}");
}

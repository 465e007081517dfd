//! Every algorithm at the front door, and many issuers side by side on one route.

use serde_json::{Value, json};

use crate::{
    rig::{Rig, issuer, token},
    support::{
        conf::{Table, quoted},
        signer::{Signer, claims, jwks},
    },
};

const PUBLIC: &str =
    r#"["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]"#;

/// An issuer with these keys in a file of its name.
fn filed(name: &str, iss: &str) -> Table {
    issuer(name, iss).with("jwks_file", quoted(&format!("{name}.json"))).with("algorithms", PUBLIC)
}

fn rig(tables: &[Table], files: &[(&str, String)]) -> Rig {
    Rig::with(tables, |conf, places| {
        for (name, text) in files {
            std::fs::write(places.dir.join(name), text).unwrap();
        }
        conf.section("[limiter]\nfailures_per_address = false")
    })
}

// requirement: 1
#[tokio::test]
async fn a_key_of_every_kind_verifies_under_its_own_algorithm_and_no_other() {
    const ISS: &str = "https://kinds.example";
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let mut keys: Vec<Signer> = rsa.iter().map(|name| Signer::rsa(name, name)).collect();
    keys.extend(["ES256", "ES384"].map(|name| Signer::curve(name, name)));
    keys.push(Signer::ed25519("EdDSA"));
    let set = jwks(&keys.iter().collect::<Vec<_>>()).to_string();
    let rig = rig(&[filed("kinds", ISS)], &[("kinds.json", set)]);
    let all: Vec<&str> = keys.iter().map(|key| key.algorithm).collect();
    for key in keys {
        rig.get("/closed/x", &token(&key, ISS, "ada")).await.expect(200);
        let (kid, own) = (key.kid.clone(), key.algorithm);
        // The key signs rightly by another rule of its kind, and says so; and lies about its rule.
        let mut key = key;
        for other in all.iter().filter(|other| **other != own) {
            key = key.called(&kid, other);
            if rsa.contains(other) && rsa.contains(&own) {
                rig.get("/closed/x", &token(&key, ISS, "ada")).await.expect(401);
            }
            key = key.called(&kid, own);
            let header = json!({ "alg": other, "kid": kid, "typ": "at+jwt" });
            let lied = key.sign_as(&header, &claims(ISS, "api", "ada"));
            rig.get("/closed/x", &lied).await.expect(401);
        }
        for name in ["none", "None", "HS256", "ES512", ""] {
            let header = json!({ "alg": name, "kid": kid, "typ": "at+jwt" });
            let lied = key.sign_as(&header, &claims(ISS, "api", "ada"));
            rig.get("/closed/x", &lied).await.expect(401);
        }
    }
}

// requirement: 1, 5
#[tokio::test]
async fn a_shared_secret_is_for_one_hash_and_a_public_key_is_no_secret() {
    let secret = "s".repeat(64);
    let hashes = ["HS256", "HS384", "HS512"];
    let iss = |name: &str| format!("https://{}.example", name.to_lowercase());
    let public = Signer::rsa("r", "RS256");
    let mut tables: Vec<Table> = hashes
        .iter()
        .map(|name| {
            issuer(&name.to_lowercase(), &iss(name))
                .with("secret", quoted("file:shared.secret"))
                .with("algorithms", format!("[{name:?}]"))
        })
        .collect();
    tables.push(filed("public", "https://public.example"));
    let set = jwks(&[&public]);
    let rig = rig(&tables, &[("shared.secret", secret.clone()), ("public.json", set.to_string())]);
    for name in hashes {
        for used in hashes {
            let key = Signer::hashed("any", used, &secret);
            let wanted = if used == name { 200 } else { 401 };
            rig.get("/closed/x", &token(&key, &iss(name), "ada")).await.expect(wanted);
        }
        // What everybody can read must not sign.
        for known in [set.to_string(), public.jwk().to_string(), public.jwk()["n"].to_string()] {
            let key = Signer::hashed("r", name, &known);
            rig.get("/closed/x", &token(&key, "https://public.example", "ada")).await.expect(401);
        }
    }
    rig.get("/closed/x", &token(&public, "https://public.example", "ada")).await.expect(200);
}

// requirement: 9
#[tokio::test]
async fn many_issuers_stand_side_by_side_and_a_key_id_says_nothing_of_whose_it_is() {
    const COUNT: usize = 12;
    let iss = |n: usize| format!("https://issuer-{n}.example");
    // All of them call their key the same.
    let keys: Vec<Signer> = (0..COUNT).map(|_| Signer::curve("key-1", "ES256")).collect();
    let tables: Vec<Table> = (0..COUNT).map(|n| filed(&format!("i{n}"), &iss(n))).collect();
    let files: Vec<(String, String)> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| (format!("i{n}.json"), jwks(&[key]).to_string()))
        .collect();
    let files: Vec<(&str, String)> =
        files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    let rig = rig(&tables, &files);
    for _ in 0..2 {
        for (n, key) in keys.iter().enumerate() {
            rig.get(&format!("/closed/of-{n}"), &token(key, &iss(n), "ada")).await.expect(200);
            let seen = rig.seen(&format!("/closed/of-{n}"));
            assert_eq!(seen.field("x-auth-subject"), Some(format!("i{n}|ada")));
            assert_eq!(seen.field("x-auth-issuer"), Some(iss(n)));
            let next = (n + 1) % COUNT;
            rig.get("/closed/x", &token(key, &iss(next), "ada")).await.expect(401);
        }
    }
    // Nor is one without a key id tried against those of others.
    let header = json!({ "alg": "ES256", "typ": "at+jwt" });
    let good: Value = claims(&iss(0), "api", "ada");
    rig.get("/closed/x", &keys[0].sign_as(&header, &good)).await.expect(200);
    rig.get("/closed/x", &keys[1].sign_as(&header, &good)).await.expect(401);
}

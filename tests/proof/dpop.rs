//! `proof = "dpop"` from outside.

use serde_json::{Value, json};

use super::bench::{Bench, SECRET, configuration, request};
use crate::support::{
    dpop::{Client, now},
    gateway::{Gateway, Places, fresh_places},
    programs, wire,
};

const URL: &str = "http://api.test";

#[tokio::test]
async fn a_bound_token_passes_with_a_proof_and_each_proof_once() {
    let bench = Bench::start();
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let authorization = format!("DPoP {token}");
    for path in ["/dpop/a", "/any/a", "/dpop/a/b%20c?x=1"] {
        let url = format!("{URL}{}", path.split('?').next().unwrap());
        let proof = client.proof(&url, &token);
        let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
        assert_eq!(bench.ask(path, &fields).await.status, 200, "{path}");
        let seen = bench.upstream.seen().pop().unwrap();
        assert_eq!((seen.field("dpop"), seen.field("authorization")), (None, None), "kept here");
        assert_eq!(seen.field("x-auth-subject").as_deref(), Some(bench.subject.as_str()));
        let again = bench.ask(path, &fields).await;
        assert_eq!(again.status, 401, "a replay");
    }
    assert_eq!(bench.upstream.seen().len(), 3);
    assert!(bench.upstream.seen().iter().all(|seen| seen.field("dpop").is_none()));
    let figures = bench.gateway.operator().get("/metrics").await.text();
    assert!(figures.contains("portcullis_proofs_remembered 3"), "{figures}");
}

#[tokio::test]
async fn every_other_way_to_show_a_token_is_refused() {
    let bench = Bench::start();
    let (client, thief) = (Client::new(), Client::new());
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let other = bench.token(json!({ "jkt": client.thumbprint() }));
    let free = bench.token(Value::Null);
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let good = |path: &str| client.proof(&format!("{URL}{path}"), &token);
    let with = |path: &str, change: &dyn Fn(&mut Value, &mut Value)| {
        client.proof_with(&format!("{URL}{path}"), &token, change)
    };
    let strange = bench.token(json!({ "kid": "x" }));
    let both = bench.token(json!({ "jkt": client.thumbprint(), "x5t#S256": client.thumbprint() }));
    let stranger = Client::new();
    let cases: Vec<(&str, String, Option<String>, &str)> = vec![
        ("/dpop/1", bearer.clone(), Some(good("/dpop/1")), "proof_missing"),
        ("/dpop/2", dpop.clone(), None, "proof_missing"),
        ("/dpop/3", format!("DPoP {free}"), Some(good("/dpop/3")), "proof_unbound"),
        ("/dpop/4", format!("Bearer {free}"), None, "proof_unbound"),
        ("/dpop/5", dpop.clone(), Some(thief.proof(&format!("{URL}/dpop/5"), &token)), "proof_key"),
        (
            "/dpop/6",
            dpop.clone(),
            Some(client.proof(&format!("{URL}/dpop/6"), &other)),
            "proof_token",
        ),
        ("/dpop/7", dpop.clone(), Some(good("/dpop/8")), "proof_request"),
        (
            "/dpop/8",
            dpop.clone(),
            Some(client.proof("https://api.test/dpop/8", &token)),
            "proof_request",
        ),
        (
            "/dpop/9",
            dpop.clone(),
            Some(client.proof("http://other.test/dpop/9", &token)),
            "proof_request",
        ),
        (
            "/dpop/10",
            dpop.clone(),
            Some(with("/dpop/10", &|_, claims| claims["htm"] = json!("POST"))),
            "proof_request",
        ),
        (
            "/dpop/11",
            dpop.clone(),
            Some(with("/dpop/11", &|_, claims| claims["iat"] = json!(now() - 120))),
            "proof_time",
        ),
        (
            "/dpop/12",
            dpop.clone(),
            Some(with("/dpop/12", &|_, claims| claims["iat"] = json!(now() + 120))),
            "proof_time",
        ),
        (
            "/dpop/13",
            dpop.clone(),
            Some(with("/dpop/13", &|header, _| header["typ"] = json!("JWT"))),
            "proof_invalid",
        ),
        (
            "/dpop/14",
            dpop.clone(),
            Some(with("/dpop/14", &|header, _| header["alg"] = json!("none"))),
            "proof_invalid",
        ),
        (
            "/dpop/15",
            dpop.clone(),
            Some(with("/dpop/15", &|header, _| header["jwk"]["d"] = json!("AAAA"))),
            "proof_invalid",
        ),
        ("/dpop/16", dpop.clone(), Some("nonsense".into()), "proof_invalid"),
        ("/dpop/20", dpop.clone(), Some("A".repeat(7_000)), "proof_invalid"),
        (
            "/dpop/21",
            dpop.clone(),
            Some(with("/dpop/21", &|header, _| header["alg"] = json!("HS256"))),
            "proof_invalid",
        ),
        (
            "/dpop/22",
            dpop.clone(),
            Some(with("/dpop/22", &|header, _| {
                *header = json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": { "kty": "oct", "k": "AAAA" } });
            })),
            "proof_invalid",
        ),
        (
            "/dpop/17",
            dpop.clone(),
            Some(format!("{}, {}", good("/dpop/17"), good("/dpop/17"))),
            "proof_invalid",
        ),
        (
            "/dpop/18",
            format!("DPoP {both}"),
            Some(client.proof(&format!("{URL}/dpop/18"), &both)),
            "proof_unverified",
        ),
        (
            "/dpop/19",
            format!("DPoP {strange}"),
            Some(stranger.proof(&format!("{URL}/dpop/19"), &strange)),
            "token_invalid",
        ),
        ("/plain/1", bearer.clone(), None, "proof_unverified"),
        ("/plain/2", bearer.clone(), Some(good("/plain/2")), "proof_unverified"),
        ("/plain/3", dpop.clone(), Some(good("/plain/3")), "token_scheme"),
        ("/plain/4", format!("Bearer {strange}"), None, "token_invalid"),
        ("/certificate/1", dpop.clone(), Some(good("/certificate/1")), "token_scheme"),
        ("/certificate/2", bearer.clone(), None, "proof_unverified"),
    ];
    for (path, authorization, proof, reason) in &cases {
        let mut fields = vec![("authorization", authorization.as_str())];
        fields.extend(proof.iter().map(|proof| ("dpop", proof.as_str())));
        let reply = bench.ask(path, &fields).await;
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(bench.reason(path).await, *reason, "{path}");
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        let wanted = match *reason {
            _ if !path.starts_with("/dpop") => "Bearer error=\"invalid_token\"",
            "proof_unbound" | "proof_unverified" | "token_invalid" | "proof_missing" => {
                "DPoP error=\"invalid_token\", algs=\"ES256 "
            }
            _ => "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 ",
        };
        assert!(challenge.starts_with(wanted), "{path}: {challenge}");
    }
    // Two fields are none.
    let (one, two) = (good("/dpop/twice"), good("/dpop/twice"));
    let fields = [("authorization", dpop.as_str()), ("dpop", &one), ("dpop", &two)];
    assert_eq!(bench.ask("/dpop/twice", &fields).await.status, 401);
    assert_eq!(bench.upstream.seen().len(), 0, "nothing of it passed");
    // What the contract answers itself verifies no proof.
    let me = bench.ask("/api/v1/auth/me", &[("authorization", &bearer)]).await;
    assert_eq!(me.status, 401);
    // A token that is bound to nothing is none the worse for a proof that nobody asked for.
    let free = format!("Bearer {free}");
    assert_eq!(bench.ask("/plain/5", &[("authorization", &free)]).await.status, 200);
}

#[tokio::test]
async fn behind_a_listed_proxy_the_public_address_counts() {
    let trusting = |places: &Places, upstream| {
        configuration(places, upstream).section("[trust]\nproxies = [\"127.0.0.1/32\"]").text()
    };
    let bench = Bench::with(trusting);
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let authorization = format!("DPoP {token}");
    let proof = client.proof("https://shop.example.org/dpop/a", &token);
    let fields = [
        ("authorization", authorization.as_str()),
        ("dpop", &proof),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example.org"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    assert_eq!(bench.ask("/dpop/a", &fields).await.status, 200);
    // From anybody else these fields say nothing.
    let stranger = Bench::start();
    let token = stranger.token(json!({ "jkt": client.thumbprint() }));
    let authorization = format!("DPoP {token}");
    let proof = client.proof("https://shop.example.org/dpop/a", &token);
    let mut fields = fields;
    (fields[0].1, fields[1].1) = (&authorization, &proof);
    assert_eq!(stranger.ask("/dpop/a", &fields).await.status, 401);
}

/// The library of somebody else makes token, key and proofs.
#[test]
#[ignore = "needs scripts/programs.sh"]
fn an_independent_client_is_understood() {
    let bench = Bench::start();
    let copy = programs::package("node/node_modules").with_file_name("proof-dpop.mjs");
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proof/clients/dpop.mjs");
    std::fs::copy(own, &copy).unwrap();
    let mut command = programs::command("node");
    command
        .arg(copy)
        .env("GATEWAY", bench.gateway.url())
        .env("SECRET", SECRET)
        .env("SUBJECT", &bench.subject);
    assert!(programs::play(&mut command));
    assert_eq!(bench.upstream.seen().len(), 3, "as many as were good");
}

#[tokio::test]
async fn a_token_that_is_bound_stays_refused_when_it_is_known() {
    // What is kept of a token says what it is bound to: a second look is no laxer than the first.
    let bench = Bench::start();
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let proof = client.proof(&format!("{URL}/dpop/a"), &token);
    let good = format!("DPoP {token}");
    let reply = bench.ask("/dpop/a", &[("authorization", &good), ("dpop", &proof)]).await;
    assert_eq!(reply.status, 200);
    let bearer = format!("Bearer {token}");
    for path in ["/plain/a", "/dpop/a", "/any/a"] {
        assert_eq!(bench.ask(path, &[("authorization", &bearer)]).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn of_the_same_proof_many_times_at_once_exactly_one_passes() {
    let bench = Bench::start();
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let proof = client.proof(&format!("{URL}/dpop/a"), &token);
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
    let text = request("/dpop/a", &fields);
    let tries: Vec<_> = (0..24)
        .map(|_| {
            let (text, address) = (text.clone(), bench.gateway.address());
            tokio::spawn(async move { wire::exchange(address, text).await.status })
        })
        .collect();
    let mut passed = 0;
    for one in tries {
        match one.await.unwrap() {
            200 => passed += 1,
            status => assert_eq!(status, 401),
        }
    }
    assert_eq!((passed, bench.upstream.seen().len()), (1, 1));
    // The same words under another key are another proof.
    let other = Client::new();
    let token = bench.token(json!({ "jkt": other.thumbprint() }));
    let authorization = format!("DPoP {token}");
    for (client, token, authorization) in [(&other, &token, &authorization)] {
        let proof = client.proof_with(&format!("{URL}/dpop/b"), token, |_, claims| {
            claims["jti"] = json!("the-same-id");
        });
        let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
        assert_eq!(bench.ask("/dpop/b", &fields).await.status, 200);
        assert_eq!(bench.ask("/dpop/b", &fields).await.status, 401);
    }
}

#[tokio::test]
async fn nonces_are_asked_for_given_out_and_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start();
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let authorization = format!("DPoP {token}");
    let url = format!("{URL}/nonce/a");
    let with = |nonce: Option<&str>| {
        client.proof_with(&url, &token, |_, claims| {
            if let Some(nonce) = nonce {
                claims["nonce"] = json!(nonce);
            }
        })
    };
    let shown = |reply: &wire::Reply| reply.header("dpop-nonce").map(str::to_owned);
    let bare = bench.ask("/nonce/a", &[]).await;
    assert_eq!(bare.status, 401);
    assert!(bare.header("www-authenticate").unwrap().starts_with("DPoP algs=\"ES256 "));
    let nonce = shown(&bare).unwrap();
    for wrong in [None, Some(""), Some("made-up"), Some(&nonce[1..])] {
        let proof = with(wrong);
        let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
        let reply = bench.ask("/nonce/a", &fields).await;
        assert_eq!((reply.status, shown(&reply).is_some()), (401, true));
        let challenge = reply.header("www-authenticate").unwrap().to_owned();
        assert!(challenge.starts_with("DPoP error=\"use_dpop_nonce\", algs="), "{challenge}");
        assert_eq!(bench.reason("/nonce/a").await, "proof_nonce");
    }
    let proof = with(Some(&nonce));
    let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
    let good = bench.ask("/nonce/a", &fields).await;
    assert_eq!((good.status, shown(&good).is_some()), (200, true));
    assert_eq!(bench.ask("/nonce/a", &fields).await.status, 401, "a nonce makes no proof new");
    // Where none is asked for, none is given.
    assert_eq!(shown(&bench.ask("/dpop/a", &[]).await), None);

    // The key of the nonces is the store's.
    let upstream = bench.upstream.address;
    let places = fresh_places(folder.path());
    let text = configuration(&places, upstream).text();
    let first = Gateway::start_in(&places, &text);
    let nonce = shown(&wire::exchange(first.address(), request("/nonce/b", &[])).await).unwrap();
    first.stop();
    let second = Gateway::start_in(&places, &text);
    let name = crate::support::tmws::fresh_name();
    let user = crate::support::operate::add_user(&second, &name, &["USER"]);
    let token = bench.token_of(user["id"].as_str().unwrap(), json!({ "jkt": client.thumbprint() }));
    let proof = client.proof_with(&format!("{URL}/nonce/b"), &token, |_, claims| {
        claims["nonce"] = json!(nonce);
    });
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
    assert_eq!(wire::exchange(second.address(), request("/nonce/b", &fields)).await.status, 200);
}

#[tokio::test]
async fn a_bound_token_is_none_where_the_contract_answers_and_in_the_place_of_others() {
    let bench = Bench::start();
    let client = Client::new();
    let bearer = format!("Bearer {}", bench.token(json!({ "jkt": client.thumbprint() })));
    for path in ["/api/v1/auth/me", "/api/v1/auth/api-keys"] {
        assert_eq!(bench.ask(path, &[("authorization", &bearer)]).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn explain_tells_of_the_proof_and_does_not_use_it_up() {
    let bench = Bench::start();
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let authorization = format!("DPoP {token}");
    let proof = client.proof(&format!("{URL}/dpop/a"), &token);
    let fields = [("authorization", authorization.as_str()), ("dpop", &proof)];
    let folder = tempfile::tempdir().unwrap();
    let explained = |text: String| {
        let file = folder.path().join("head");
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let output = bench.gateway.cli(&["explain", "--raw", file, "--output", "json"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let stage = |told: &Value| {
        let stages = told["stages"].as_array().unwrap();
        stages.iter().find(|stage| stage["stage"] == "proof").cloned()
    };
    for _ in 0..2 {
        let told = explained(request("/dpop/a", &fields));
        assert_eq!(told["reason"], "ok", "{told}");
        let stage = stage(&told).unwrap();
        assert!(stage["saw"].to_string().contains("RFC 9449"), "{stage}");
    }
    assert_eq!(bench.ask("/dpop/a", &fields).await.status, 200, "it was not used");
    let told = explained(request("/dpop/b", &fields));
    assert_eq!(told["reason"], "proof_request", "{told}");
    assert_eq!(stage(&told).unwrap()["verdict"], "refused");
    let free = format!("Bearer {}", bench.token(Value::Null));
    let told = explained(request("/plain/b", &[("authorization", &free)]));
    assert_eq!((told["reason"].as_str(), stage(&told)), (Some("ok"), None));
}

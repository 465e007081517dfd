//! Our verdict on generated and mutated tokens against three verifiers of other people: PyJWT, joserfc and jose.
//!
//! What the majority refuses is never accepted, and a clean token is never refused. Where we refuse more than they do,
//! that is meant. `scripts/verifiers.sh` puts them there; `PORTCULLIS_VERIFIERS=all` makes their absence a failure, and
//! `PORTCULLIS_TOKENS` and `PORTCULLIS_SEED` change how many tokens are made, and which.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jsonwebtoken::{Algorithm, DecodingKey, jwk::Jwk};
use portcullis::{
    model::Timestamp,
    pipeline::jwt::{TokenProfile, VerificationKey, install_crypto_provider},
};
use serde_json::Value;

use crate::bench::now;

/// Tokens in CI.
const COUNT: u64 = 20_000;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What a program says to this input.
fn ask(program: &Path, arguments: &[&Path], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// A profile with one key, as the others are told to verify.
fn profile(algorithm: &str, jwk: &Value) -> TokenProfile {
    let parsed: Jwk = serde_json::from_value(jwk.clone()).expect("a JWK");
    let algorithm: Algorithm = algorithm.parse().expect("a name");
    let key = DecodingKey::from_jwk(&parsed).expect("a key");
    let profile = TokenProfile {
        issuer: "issuer".into(),
        audience: Some("audience".into()),
        token_type: None,
        standard: false,
        agent_audience: None,
        tenant_claim: None,
        keys: vec![VerificationKey { kid: "one".into(), algorithm, key }],
        leeway: std::time::Duration::ZERO,
        mount: "api".into(),
        realm: "main".into(),
    };
    profile.check().expect("a sound key");
    profile
}

// requirement: 1, 2, 3, 4, 6
#[test]
fn no_token_is_accepted_that_the_majority_of_verifiers_refuses() {
    let python = file("target/verifiers/python/bin/python");
    let jose = file("target/verifiers/node/node_modules/jose/dist/webapi/index.js");
    if !python.exists() || !jose.exists() {
        let all = std::env::var("PORTCULLIS_VERIFIERS").is_ok_and(|wanted| wanted == "all");
        assert!(!all, "the verifiers are not there: scripts/verifiers.sh");
        eprintln!("left out: the verifiers are not there; scripts/verifiers.sh installs them");
        return;
    }
    install_crypto_provider();
    let scripts = file("tests/security/verifiers");
    let seed = number("PORTCULLIS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let count = number("PORTCULLIS_TOKENS").unwrap_or(COUNT);
    let (seed_text, count_text) = (seed.to_string(), count.to_string());
    let made = ask(
        &python,
        &[&scripts.join("make.py"), Path::new(&seed_text), Path::new(&count_text)],
        "",
    );
    let others = [
        ask(&python, &[&scripts.join("pyjwt.py")], &made),
        ask(&python, &[&scripts.join("joserfc_.py")], &made),
        ask(Path::new("node"), &[&scripts.join("jose.mjs"), &jose], &made),
    ];
    let mut lines = made.lines();
    let keys: Value = serde_json::from_str(lines.next().expect("keys")).expect("JSON");
    let profiles: Vec<(&String, TokenProfile)> = keys
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, jwk)| (name, profile(name, jwk)))
        .collect();
    let at = Timestamp::from_secs(now());
    let mut faults = Vec::new();
    let (mut accepted, mut clean) = (0, 0);
    let cases: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(cases.len() as u64, count);
    for other in &others {
        assert_eq!(other.len() as u64, count, "one verdict for each token");
    }
    for (index, case) in cases.iter().enumerate() {
        let (kind, token) = (case["kind"].as_str().unwrap(), case["token"].as_str().unwrap());
        let (_, own) = profiles.iter().find(|(name, _)| case["alg"] == name.as_str()).unwrap();
        let ours = own.verify(token, at).is_ok();
        let theirs = others.iter().filter(|other| other.as_bytes()[index] == b'1').count();
        accepted += u64::from(ours);
        clean += u64::from(kind == "clean");
        if ours && theirs < 2 {
            faults.push(format!("accepted, by {theirs} of 3 others: {kind} {token}"));
        }
        if kind == "clean" && !ours {
            faults.push(format!("a clean one refused: {token}"));
        }
    }
    eprintln!("seed {seed}: {count} tokens, {clean} clean, {accepted} accepted");
    assert!(clean * 11 >= count && accepted >= clean && accepted < count / 2, "{accepted}");
    assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
}

//! Identity headers: off in every spelling on every route, set once from the permit.

use crate::{
    bench::{bench, mark, request},
    support::wire::Reaction,
};

const NAMES: [&str; 9] = [
    "X-Auth-Subject",
    "X-Auth-Username",
    "X-Auth-Roles",
    "X-Auth-Scopes",
    "X-Auth-Method",
    "X-Auth-Key-Id",
    "X-Auth-Realm",
    "X-Auth-Tenant",
    "X-Auth-Issuer",
];

const FORWARDING: [&str; 12] = [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Server",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Anything-At-All",
    "Forwarded",
];

/// Spellings that some upstream reads as the same name.
fn spellings(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    vec![
        name.to_owned(),
        lower.clone(),
        name.to_uppercase(),
        lower.replace('-', "_"),
        name.replace('-', "_"),
        lower.replacen('-', "_", 1),
    ]
}

async fn forged(route: &str, credential: &str) {
    let bench = bench();
    for name in NAMES.iter().chain(&FORWARDING) {
        for spelling in spellings(name) {
            let mark = mark();
            let fields = format!(
                "{credential}{spelling}: forged-1\r\n{spelling}: forged-2\r\nX-Other: kept\r\n"
            );
            let text = request("GET", &format!("/{route}/{mark}"), &fields);
            let reply = bench.exchange(text).await;
            if spelling.contains('_') && reply.status == 400 {
                bench.none(&mark);
                continue;
            }
            assert_eq!(reply.status, 200, "{spelling}: {}", reply.text());
            let seen = bench.only(&mark);
            let text = String::from_utf8_lossy(&seen.head).into_owned();
            assert!(!text.contains("forged"), "{spelling} came through:\n{text}");
            assert_eq!(seen.field("x-other").as_deref(), Some("kept"));
        }
    }
}

// requirement: 18
#[tokio::test]
async fn a_public_route_forwards_no_identity_of_the_clients_making() {
    forged("open", "").await;
}

// requirement: 18
#[tokio::test]
async fn a_protected_route_forwards_only_the_permits_identity() {
    forged("closed", &format!("X-API-Key: {}\r\n", bench().key)).await;
}

#[tokio::test]
async fn a_public_route_carries_no_identity_even_with_a_good_credential() {
    let bench = bench();
    let mark = mark();
    let fields =
        format!("X-API-Key: {}\r\nAuthorization: Bearer {}\r\n", bench.key, bench.token().await);
    assert_eq!(bench.exchange(request("GET", &format!("/open/{mark}"), &fields)).await.status, 200);
    let seen = bench.only(&mark);
    for name in NAMES {
        assert_eq!(seen.field(name), None, "{name}");
    }
    assert_eq!(seen.field("x-api-key"), None, "credentials are not forwarded");
    assert_eq!(seen.field("authorization"), None);
}

#[tokio::test]
async fn a_key_shows_its_owner_method_and_id() {
    let bench = bench();
    let mark = mark();
    let fields = format!("X-API-Key: {}\r\n", bench.key);
    let text = request("GET", &format!("/closed/{mark}"), &fields);
    assert_eq!(bench.exchange(text).await.status, 200);
    let seen = bench.only(&mark);
    assert_eq!(seen.field("x-auth-subject").as_deref(), Some(bench.subject.as_str()));
    assert_eq!(seen.field("x-auth-username").as_deref(), Some(crate::support::operate::ADMIN));
    assert_eq!(seen.field("x-auth-roles").as_deref(), Some("SUPER_ADMIN"));
    assert_eq!(seen.field("x-auth-scopes").as_deref(), Some("FULL"));
    assert_eq!(seen.field("x-auth-method").as_deref(), Some("api_key"));
    assert_eq!(seen.field("x-auth-key-id").as_deref(), Some(bench.key_id.as_str()));
    assert_eq!(seen.field("x-auth-realm").as_deref(), Some("main"));
    assert_eq!(seen.field("x-api-key"), None, "the consumed credential stays here");
    assert!(!String::from_utf8_lossy(&seen.head).contains(&bench.key));
}

#[tokio::test]
async fn a_token_shows_its_subject_and_no_key() {
    let bench = bench();
    let mark = mark();
    let token = bench.token().await;
    let fields = format!("Authorization: Bearer {token}\r\n");
    let text = request("GET", &format!("/closed/{mark}"), &fields);
    assert_eq!(bench.exchange(text).await.status, 200);
    let seen = bench.only(&mark);
    assert_eq!(seen.field("x-auth-subject").as_deref(), Some(bench.subject.as_str()));
    assert_eq!(seen.field("x-auth-method").as_deref(), Some("jwt"));
    assert_eq!(seen.field("x-auth-key-id"), None);
    assert_eq!(seen.field("authorization"), None);
}

#[tokio::test]
async fn a_route_may_ask_for_the_credential_to_go_on() {
    let bench = bench();
    let mark = mark();
    let fields = format!("X-API-Key: {}\r\n", bench.key);
    let text = request("GET", &format!("/onward/{mark}"), &fields);
    assert_eq!(bench.exchange(text).await.status, 200);
    assert_eq!(bench.only(&mark).field("x-api-key"), Some(bench.key.clone()));
}

#[tokio::test]
async fn the_forwarding_headers_are_written_by_us() {
    let bench = bench();
    let mark = mark();
    let reply = bench.exchange(request("GET", &format!("/open/{mark}"), "")).await;
    let seen = bench.only(&mark);
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.field("x-forwarded-host"), Some(bench.address().to_string()));
    let forwarded = seen.field("forwarded").expect("RFC 7239").to_lowercase();
    assert!(forwarded.contains("for=127.0.0.1") || forwarded.contains("for=\"127.0.0.1\""));
    assert!(forwarded.contains("proto=http"), "{forwarded}");
    let id = seen.field("x-request-id").expect("a request id");
    assert_eq!(reply.header("x-request-id"), Some(id.as_str()), "one id on both sides");
}

#[tokio::test]
async fn the_private_hop_headers_never_pass() {
    let bench = bench();
    for name in ["X-Portcullis-Context", "x-portcullis-verdict", "X_Portcullis_Context"] {
        let mark = mark();
        let text = request("GET", &format!("/open/{mark}"), &format!("{name}: e30\r\n"));
        let reply = bench.exchange(text).await;
        if reply.status == 400 {
            continue;
        }
        assert_eq!(bench.only(&mark).field(name), None, "{name}");
    }
    // On the way to identity they must not be believed either.
    let claim = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        r#"{"mount":"api","client":{},"principal":{"subject":"x"}}"#,
    );
    let fields = format!("X-Portcullis-Context: {claim}\r\n");
    let reply = bench.exchange(request("GET", "/api/v1/auth/me", &fields)).await;
    assert!(matches!(reply.status, 400 | 401), "{}", reply.text());
    assert!(reply.header("x-portcullis-verdict").is_none());
}

// requirement: 11
#[tokio::test]
async fn two_authorization_headers_are_400() {
    let bench = bench();
    let token = bench.token().await;
    for fields in [
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nauthorization: Bearer rubbish\r\n"),
        format!("Authorization: Bearer rubbish\r\nAuthorization: Bearer {token}\r\n"),
        format!("X-API-Key: {0}\r\nX-API-Key: {0}\r\n", bench.key),
        format!("X-API-Key: {}\r\nx-api-key: other\r\n", bench.key),
    ] {
        let mark = mark();
        let reply = bench.exchange(request("GET", &format!("/closed/{mark}"), &fields)).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.json().is_object());
        bench.none(&mark);
    }
}

#[tokio::test]
async fn blanks_around_a_name_are_no_way_in() {
    let bench = bench();
    for field in ["X-Auth-Subject : forged", " X-Auth-Subject: forged", "X-Auth-Subject\t: forged"]
    {
        let mark = mark();
        let text = request("GET", &format!("/open/{mark}"), &format!("A: b\r\n{field}\r\n"));
        match bench.provoke(text).await {
            Reaction::Closed => {}
            Reaction::Replied(reply) => assert_eq!(reply.status, 400, "{field}"),
        }
        bench.none(&mark);
    }
}

// requirement: 18
#[tokio::test]
async fn a_trailer_is_no_header() {
    let bench = bench();
    let mark = mark();
    let fields = "Transfer-Encoding: chunked\r\nTrailer: X-Auth-Subject\r\n";
    let mut text = request("POST", &format!("/open/{mark}"), fields);
    text.push_str("2\r\nhi\r\n0\r\nX-Auth-Subject: forged\r\n\r\n");
    let _ = bench.provoke(text).await;
    for seen in bench.seen(&mark) {
        assert_eq!(seen.field("x-auth-subject"), None);
        assert!(!String::from_utf8_lossy(&seen.body).contains("forged"));
    }
}

#[tokio::test]
async fn the_operators_header_rules_work_in_both_directions() {
    let bench = bench();
    let mark = mark();
    let fields = "X-Unwanted: a\r\nX-Unwanted: b\r\nX-Wanted: mine\r\n";
    let reply = bench.exchange(request("GET", &format!("/rules/{mark}/inner"), fields)).await;
    let seen = bench.only(&mark);
    assert_eq!(seen.field("x-unwanted"), None);
    assert_eq!(seen.field("x-wanted").as_deref(), Some("yes"));
    assert_eq!(reply.header("x-inner"), None);
    assert_eq!(reply.all("x-outer"), ["1"]);
}

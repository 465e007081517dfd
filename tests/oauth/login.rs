//! The code flow: PKCE, an exact address, codes and refresh tokens that are good once, and a page that no other site can use.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::json;

use crate::{
    bench::{Bench, FORM, Made, claims},
    support::{
        client::Client,
        operate,
        tmws::{GOOD_PASSWORD, fresh_address},
        wire::Reply,
    },
};

fn challenge_of(verifier: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref())
}

pub const BACK: &str = "https://app.example/cb";
pub const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

/// An application as most are, and another one.
pub fn application(bench: &Bench) -> Made {
    bench.client(&[
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--redirect-uri",
        BACK,
        "--scope",
        "READ",
        "--scope",
        "WRITE",
    ])
}

/// A browser: it keeps its cookie.
pub struct Browser {
    http: Client,
    cookie: Option<String>,
}

impl Browser {
    pub fn of(bench: &Bench) -> Self {
        Browser { http: Client::from(&bench.gateway.url(), fresh_address()), cookie: None }
    }

    fn client(&self) -> Client {
        match &self.cookie {
            Some(cookie) => self.http.with("Cookie", cookie),
            None => self.http.clone(),
        }
    }

    async fn ask(&mut self, query: &str) -> Reply {
        let reply = self.client().get(&format!("/oauth/authorize?{query}")).await;
        if let Some(set) = reply.header("set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        reply
    }

    async fn enter(&self, query: &str, proof: &str, name: &str, password: &str) -> Reply {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("request", query).append_pair("proof", proof);
        form.append_pair("username", name).append_pair("password", password);
        let body = form.finish().into_bytes();
        self.client().send(Method::POST, "/oauth/authorize", Some((FORM, body))).await
    }

    /// From the page to the address that the browser is sent to.
    pub async fn log_in(&mut self, query: &str) -> String {
        let page = self.ask(query).await.expect(200).text();
        let reply = self.enter(query, &proof_in(&page), operate::ADMIN, GOOD_PASSWORD).await;
        reply.expect(303).header("location").unwrap().to_owned()
    }
}

fn proof_in(page: &str) -> String {
    let rest = page.split("name=\"proof\" value=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

pub fn query(client: &Made, change: &[(&str, &str)]) -> String {
    let challenge = challenge_of(VERIFIER);
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", &client.id),
        ("redirect_uri", BACK),
        ("scope", "READ"),
        ("state", "a state & more"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in change {
        fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub fn answered(location: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(location).unwrap();
    url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

async fn trade(bench: &Bench, client: &Made, code: &str, change: &[(&str, &str)]) -> Reply {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in change {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    bench.token(client, &fields).await
}

async fn renew(bench: &Bench, client: &Made, token: &str, more: &[(&str, &str)]) -> Reply {
    let fields = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
    bench.token(client, &fields).await
}

// requirement: 34
#[tokio::test]
async fn a_person_logs_in_to_a_client_and_out_again() {
    let bench = Bench::start();
    let client = application(&bench);
    let mut browser = Browser::of(&bench);
    let location = browser.log_in(&query(&client, &[])).await;
    assert!(location.starts_with(&format!("{BACK}?")), "{location}");
    assert_eq!(answered(&location, "state").as_deref(), Some("a state & more"));
    assert_eq!(answered(&location, "iss"), Some(bench.issuer()));
    let code = answered(&location, "code").unwrap();
    let reply = trade(&bench, &client, &code, &[]).await.expect(200);
    let (token, refresh) = (reply.str("access_token"), reply.str("refresh_token"));
    assert_eq!(reply.str("scope"), "READ");
    let said = claims(&token);
    assert_eq!(
        (&said["username"], &said["client_id"]),
        (&json!(operate::ADMIN), &json!(client.id))
    );
    assert_ne!(said["sub"], said["client_id"]);
    assert_eq!(bench.ask(&token, Method::GET, "/reports/1").await, 200);
    assert_eq!(bench.ask(&token, Method::POST, "/reports/1").await, 403);
    // Renewed, and never for more.
    let wider = renew(&bench, &client, &refresh, &[("scope", "WRITE")]).await.expect(400);
    assert_eq!(wider.str("error"), "invalid_scope");
    // Its session is one like any other: whoever ends it ends everything.
    let sessions = bench.gateway.cli_json(&["session", "list"]);
    let sid = said["sid"].as_str().unwrap();
    let known = sessions["sessions"].as_array().unwrap().iter().any(|own| own["id"] == sid);
    assert!(known, "{sessions}");
    bench.gateway.cli_ok(&["session", "end", sid]);
    assert!(!bench.passes(&token).await);
    bench.gateway.cli_ok(&["audit", "verify"]);
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_the_login() {
    let bench = Bench::start();
    let service = bench.client(&["--grant", "introspection"]);
    let (client, other) = (application(&bench), application(&bench));
    let location = Browser::of(&bench).log_in(&query(&client, &[])).await;
    let code = answered(&location, "code").unwrap();
    let reply = trade(&bench, &client, &code, &[]).await.expect(200);
    let (token, refresh) = (reply.str("access_token"), reply.str("refresh_token"));
    // It opens nothing at a service, so none is told that it is good.
    let told = bench.introspect(&service, &refresh).await;
    assert_eq!(told, serde_json::json!({ "active": false }));
    assert_eq!(bench.introspect(&service, &token).await["active"], serde_json::json!(true));
    bench.post("/oauth/revoke", Some(&other), &[("token", &refresh)]).await.expect(200);
    assert!(bench.passes(&token).await);
    bench.post("/oauth/revoke", Some(&client), &[("token", &refresh)]).await.expect(200);
    assert!(!bench.passes(&token).await);
    renew(&bench, &client, &refresh, &[]).await.expect(400);
}

// requirement: 31
#[tokio::test]
async fn codes_and_refresh_tokens_are_good_once_and_a_copy_ends_the_login() {
    let bench = Bench::of(|places, upstream| {
        crate::bench::configuration(places, upstream, "").mount("refresh_grace", "\"0s\"")
    });
    let client = application(&bench);
    let other = application(&bench);
    let mut browser = Browser::of(&bench);
    let mut code = async || answered(&browser.log_in(&query(&client, &[])).await, "code").unwrap();
    let first = code().await;
    for wrong in
        [("redirect_uri", "https://app.example/other"), ("code_verifier", BACK), ("code", "x")]
    {
        let refused = trade(&bench, &client, &first, &[wrong]).await.expect(400);
        assert_eq!(refused.str("error"), "invalid_grant", "{wrong:?}");
    }
    let refused = trade(&bench, &other, &first, &[]).await.expect(400);
    assert_eq!(refused.str("error"), "invalid_grant", "another client's");
    let reply = trade(&bench, &client, &first, &[]).await.expect(200);
    let (token, refresh) = (reply.str("access_token"), reply.str("refresh_token"));
    let again = trade(&bench, &client, &first, &[]).await.expect(400);
    assert_eq!(again.str("error"), "invalid_grant");
    assert!(!bench.passes(&token).await, "what the copied code gave has ended");
    renew(&bench, &client, &refresh, &[]).await.expect(400);

    let reply = trade(&bench, &client, &code().await, &[]).await.expect(200);
    let (token, refresh) = (reply.str("access_token"), reply.str("refresh_token"));
    renew(&bench, &other, &refresh, &[]).await.expect(400);
    // The contract's own refresh does not take it.
    let body = json!({ "refresh_token": refresh });
    bench.caller().post("/api/v1/auth/refresh", body).await.expect(401);
    let next = renew(&bench, &client, &refresh, &[]).await.expect(200);
    assert_ne!(next.str("refresh_token"), refresh);
    assert!(bench.passes(&next.str("access_token")).await);
    assert!(bench.passes(&token).await);
    renew(&bench, &client, &refresh, &[]).await.expect(400);
    for ended in [&token, &next.str("access_token")] {
        assert!(!bench.passes(ended).await, "a spent one that comes again ends the login");
    }
    renew(&bench, &client, &next.str("refresh_token"), &[]).await.expect(400);
    // And the other way round: the contract's refresh token is none of a client's.
    let login = crate::support::tmws::login(&bench.caller(), operate::ADMIN, GOOD_PASSWORD).await;
    renew(&bench, &client, &login.refresh, &[]).await.expect(400);
}

// requirement: 34, 35
#[tokio::test]
async fn a_browser_is_sent_to_registered_addresses_only() {
    let bench = Bench::start();
    let client = application(&bench);
    let mut browser = Browser::of(&bench);
    for change in [
        ("redirect_uri", "https://evil.example/cb"),
        ("redirect_uri", "https://app.example/cb/"),
        ("redirect_uri", "https://app.example/cb?x=1"),
        ("redirect_uri", "https://app.example.evil.example/cb"),
        ("redirect_uri", ""),
        ("client_id", "client_unknown"),
        ("client_id", ""),
    ] {
        let reply = browser.ask(&query(&client, &[change])).await.expect(400);
        assert_eq!(reply.header("location"), None, "{change:?}");
        assert!(!reply.text().contains("evil"), "{change:?}");
    }
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("response_mode", "fragment"), "invalid_request"),
        (("scope", "ADMIN"), "invalid_scope"),
        (("resource", "https://other.example"), "invalid_target"),
    ] {
        let reply = browser.ask(&query(&client, &[change])).await.expect(303);
        let location = reply.header("location").unwrap();
        assert!(location.starts_with(&format!("{BACK}?")), "{location}");
        assert_eq!(answered(location, "error").as_deref(), Some(error), "{change:?}");
        assert_eq!(answered(location, "iss"), Some(bench.issuer()));
        assert_eq!(answered(location, "code"), None);
    }
    let twice = format!("{}&redirect_uri=https://evil.example", query(&client, &[]));
    assert_eq!(browser.ask(&twice).await.expect(400).header("location"), None);
}

// requirement: 37
#[tokio::test]
async fn the_page_holds_against_other_sites_and_against_guesses() {
    let bench = Bench::start();
    let client = application(&bench);
    let mut browser = Browser::of(&bench);
    let asked = query(&client, &[]);
    let reply = browser.ask(&asked).await.expect(200);
    let policy = reply.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe") && !reply.text().contains("<script"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    let set = reply.header("set-cookie").unwrap().to_owned();
    assert!(
        set.starts_with("__Host-") && set.contains("HttpOnly") && set.contains("Secure"),
        "{set}"
    );
    let proof = proof_in(&reply.text());
    // Without the cookie, with another's, for another request, from another site.
    let stranger = Browser::of(&bench);
    stranger.enter(&asked, &proof, operate::ADMIN, GOOD_PASSWORD).await.expect(400);
    let mut other = Browser::of(&bench);
    other.ask(&asked).await.expect(200);
    other.enter(&asked, &proof, operate::ADMIN, GOOD_PASSWORD).await.expect(400);
    let changed = query(&client, &[("scope", "WRITE")]);
    browser.enter(&changed, &proof, operate::ADMIN, GOOD_PASSWORD).await.expect(400);
    let mut foreign = Browser::of(&bench);
    foreign.cookie.clone_from(&browser.cookie);
    foreign.http = foreign.http.with("Origin", "https://evil.example");
    foreign.enter(&asked, &proof, operate::ADMIN, GOOD_PASSWORD).await.expect(400);
    // A wrong password shows the page again; what was typed is not repeated.
    let wrong = browser.enter(&asked, &proof, operate::ADMIN, "Wrong-Password-1").await.expect(401);
    assert!(wrong.text().contains("Name or password is wrong."));
    assert!(!wrong.text().contains("Wrong-Password-1"));
    let unknown = browser.enter(&asked, &proof, "nobody", GOOD_PASSWORD).await.expect(401);
    assert!(unknown.text().contains("Name or password is wrong."));
    for _ in 0..8 {
        browser.enter(&asked, &proof, operate::ADMIN, "Wrong-Password-1").await;
    }
    let locked = browser.enter(&asked, &proof, operate::ADMIN, GOOD_PASSWORD).await;
    assert!([423, 429].contains(&locked.status), "{}", locked.status);
    assert!(locked.header("location").is_none());
}

// requirement: 10
#[tokio::test]
async fn a_login_ends_with_its_client_and_with_the_password() {
    let bench = Bench::start();
    let client = application(&bench);
    let mut browser = Browser::of(&bench);
    let mut tokens = async || {
        let code = answered(&browser.log_in(&query(&client, &[])).await, "code").unwrap();
        let reply = trade(&bench, &client, &code, &[]).await.expect(200);
        (reply.str("access_token"), reply.str("refresh_token"))
    };
    let (token, refresh) = tokens().await;
    let (spared, _) = tokens().await;
    bench.gateway.cli_with(
        &format!("{GOOD_PASSWORD}2\n"),
        &["user", "passwd", operate::ADMIN, "--password-stdin"],
    );
    assert!(!bench.passes(&token).await);
    assert!(!bench.passes(&spared).await);
    renew(&bench, &client, &refresh, &[]).await.expect(400);
    bench.gateway.cli_with(
        &format!("{GOOD_PASSWORD}\n"),
        &["user", "passwd", operate::ADMIN, "--password-stdin"],
    );
    let (token, refresh) = tokens().await;
    assert!(bench.passes(&token).await);
    bench.gateway.cli_ok(&["client", "disable", &client.id]);
    assert!(!bench.passes(&token).await);
    bench.gateway.cli_ok(&["client", "enable", &client.id]);
    renew(&bench, &client, &refresh, &[]).await.expect(400);
}

use proptest::prelude::*;

use super::*;
use crate::{
    model::{SystemRandom, api_key, secret::ExposeSecret},
    pipeline::{
        carrier::Scheme,
        fixture::{self, Request},
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn key_text() -> String {
    api_key::issue(&"tmws_key_".into(), &SystemRandom).unwrap().text.expose_secret().to_owned()
}

/// What a route with these kinds takes from a request with these fields, in words.
fn taken(kinds: &[CredentialKind], fields: &[(&str, &str)]) -> String {
    let start = Request::get("/");
    let request = fields.iter().fold(start, |request, (name, value)| request.header(name, value));
    let view = request.view();
    let authn = Authn::Required(kinds.to_vec());
    match authn.extract(&view, &fixture::mount("api")) {
        Ok(Some(Credential::Jwt(token, Scheme::Bearer))) => format!("jwt {token}"),
        Ok(Some(Credential::Jwt(token, Scheme::Dpop))) => format!("dpop {token}"),
        Ok(Some(Credential::ApiKey(_))) => "key".into(),
        Ok(Some(Credential::Session(_))) => "session".into(),
        Ok(Some(Credential::Certificate(_))) => "certificate".into(),
        Ok(None) => "nothing".into(),
        Err(deny) => deny.reason().into(),
    }
}

use CredentialKind::{ApiKey, Jwt};

#[test]
fn the_first_kind_present_decides_and_a_bad_one_never_falls_through() {
    let key = key_text();
    let good = [("authorization", "Bearer abc"), ("x-api-key", &key)];
    let bad_token = [("authorization", "Bearer a b"), ("x-api-key", &key)];
    let bad_key = [("authorization", "Bearer abc"), ("x-api-key", "tmws_key_x.y")];
    for (kinds, fields, wanted) in [
        (&[Jwt, ApiKey][..], &good[..], "jwt abc"),
        (&[ApiKey, Jwt], &good, "key"),
        (&[Jwt, ApiKey], &bad_token, "token_invalid"),
        (&[ApiKey, Jwt], &bad_token, "key"),
        (&[Jwt, ApiKey], &bad_key, "jwt abc"),
        (&[ApiKey, Jwt], &bad_key, "key_malformed"),
        (&[Jwt, ApiKey], &good[1..], "key"),
        (&[ApiKey], &bad_token, "key"),
        (&[Jwt], &good[1..], "credential_missing"),
        (&[Jwt, ApiKey], &[], "credential_missing"),
        (&[Jwt, ApiKey], &[("authorization", "Basic YTpi"), ("x-api-key", &key)], "token_scheme"),
        (&[Jwt, ApiKey], &[("x-api-key", "")], "key_malformed"),
        (&[Jwt], &[("authorization", "dpop abc")], "dpop abc"),
    ] {
        assert_eq!(taken(kinds, fields), wanted, "{kinds:?} {fields:?}");
    }
}

#[test]
fn a_public_route_reads_no_credential() {
    let request = Request::get("/").header("authorization", "nonsense").header("x-api-key", "x");
    let found = Authn::Public.extract(&request.view(), &fixture::mount("api"));
    assert!(matches!(found, Ok(None)));
}

#[test]
fn bearer_spellings() {
    let long = format!("Bearer {}", "a".repeat(8 * 1024 + 1));
    for (value, wanted) in [
        ("Bearer abc", "jwt abc"),
        ("bearer abc", "jwt abc"),
        ("BEARER   abc", "jwt abc"),
        ("Bearer a.b-c_d~e+f/g==", "jwt a.b-c_d~e+f/g=="),
        ("Bearer", "token_invalid"),
        ("Bearer ", "token_invalid"),
        ("Bearerabc", "token_invalid"),
        ("Bearer\tabc", "token_invalid"),
        ("Bearer abc def", "token_invalid"),
        ("Bearer abc,def", "token_invalid"),
        ("Bearer \"abc\"", "token_invalid"),
        ("Token abc", "token_scheme"),
        ("abc", "token_invalid"),
        ("", "token_invalid"),
        (&long, "token_invalid"),
    ] {
        assert_eq!(taken(&[Jwt], &[("authorization", value)]), wanted, "{value:.40}");
    }
}

#[test]
fn a_key_of_another_prefix_is_malformed() {
    let other = api_key::issue(&"other_".into(), &SystemRandom).unwrap();
    let fields = [("x-api-key", other.text.expose_secret())];
    assert_eq!(taken(&[ApiKey], &fields), "key_malformed");
}

#[test]
fn a_credential_does_not_show_itself() {
    assert_eq!(format!("{:?}", Credential::Jwt("secret", Scheme::Bearer)), "Jwt(…, Bearer)");
}

proptest! {
    #[test]
    fn only_one_token_behind_the_scheme_is_ever_taken(text in "([Bb]earer|Basic|)[ \t]{0,2}[ -~]{0,12}") {
        let found = taken(&[Jwt], &[("authorization", &text)]);
        let words: Vec<&str> = text.trim().split(' ').filter(|word| !word.is_empty()).collect();
        let plain = |word: &str| {
            word.chars().all(|char| char.is_ascii_alphanumeric() || "-._~+/=".contains(char))
        };
        let wanted = match words.as_slice() {
            // A field value has no blanks around it once it was on the wire.
            [scheme, token] if !text.starts_with(' ') && scheme.eq_ignore_ascii_case("bearer") && plain(token) => {
                format!("jwt {token}")
            }
            _ => match text.split_once(' ') {
                Some((scheme, _)) if !scheme.eq_ignore_ascii_case("bearer") => "token_scheme".to_owned(),
                _ => "token_invalid".to_owned(),
            },
        };
        prop_assert_eq!(found, wanted);
    }
}

// === establish ===

fn evidence() -> (Digest, KeyEvidence) {
    let digest = Digest::of(b"secret");
    let principal = Arc::new(fixture::principal(&["USER"], Some(&["READ"])));
    (digest, KeyEvidence { digest, principal, expires_at: None, revoked: false })
}

fn judge(presented: &Digest, evidence: Option<&KeyEvidence>, client: &str) -> Result<(), Deny> {
    let mount = fixture::mount("api");
    establish_key(presented, evidence, &mount, client.parse().unwrap(), NOW).map(drop)
}

#[test]
fn a_good_key_stands_for_its_owner() {
    let (digest, evidence) = evidence();
    assert_eq!(judge(&digest, Some(&evidence), "192.0.2.7"), Ok(()));
}

#[test]
fn unknown_id_wrong_secret_and_foreign_mount_look_the_same() {
    let (digest, known) = evidence();
    let unknown = Err(Deny::Key(KeyFault::Unknown));
    assert_eq!(judge(&digest, None, "::1"), unknown);
    assert_eq!(judge(&Digest::of(b""), None, "::1"), unknown);
    assert_eq!(judge(&Digest::of(b"other"), Some(&known), "::1"), unknown);
    let mut foreign = known;
    Arc::make_mut(&mut foreign.principal).mount = "other".into();
    foreign.revoked = true;
    assert_eq!(judge(&digest, Some(&foreign), "::1"), unknown);
}

#[test]
fn a_wrong_secret_does_not_tell_that_a_key_is_revoked() {
    let (_, mut known) = evidence();
    known.revoked = true;
    known.expires_at = Some(NOW);
    assert_eq!(judge(&Digest::of(b"x"), Some(&known), "::1"), Err(Deny::Key(KeyFault::Unknown)));
}

#[test]
fn revoked_expired_and_address_bound_keys_are_refused() {
    let (digest, known) = evidence();
    let revoked = KeyEvidence { revoked: true, ..known.clone() };
    assert_eq!(judge(&digest, Some(&revoked), "::1"), Err(Deny::Key(KeyFault::Revoked)));
    for (expires_at, wanted) in [
        (NOW + std::time::Duration::from_millis(1), Ok(())),
        (NOW, Err(Deny::Key(KeyFault::Expired))),
    ] {
        let expiring = KeyEvidence { expires_at: Some(expires_at), ..known.clone() };
        assert_eq!(judge(&digest, Some(&expiring), "::1"), wanted);
    }
    let mut bound = known;
    Arc::make_mut(&mut bound.principal).allowed_ips =
        vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::1/128".parse().unwrap()];
    for (client, wanted) in [
        ("10.1.2.3", Ok(())),
        ("::ffff:10.1.2.3", Ok(())),
        ("2001:db8::1", Ok(())),
        ("11.0.0.1", Err(Deny::AddressNotAllowed)),
        ("2001:db8::2", Err(Deny::AddressNotAllowed)),
    ] {
        assert_eq!(judge(&digest, Some(&bound), client), wanted, "{client}");
    }
}

struct Ended(&'static str);

impl RevocationView for Ended {
    fn is_revoked(&self, token: Option<&TokenId>, session: Option<&SessionId>) -> bool {
        token.is_some_and(|token| token.as_str() == self.0)
            || session.is_some_and(|session| session.as_str() == self.0)
    }
}

fn judge_token(ended: &'static str, at: Timestamp, leeway: u64) -> Result<(), Deny> {
    let mut who = fixture::principal(&[], None);
    who.token = Some("token".into());
    who.session = Some("session".into());
    who.expires_at = Some(NOW);
    let leeway = std::time::Duration::from_secs(leeway);
    establish_token(&Arc::new(who), &Ended(ended), leeway, at).map(drop)
}

#[test]
fn a_token_ends_at_its_expiry_and_not_before() {
    let expired = Err(Deny::Token(TokenFault::Expired));
    assert_eq!(judge_token("", Timestamp(NOW.0 - 1), 0), Ok(()));
    assert_eq!(judge_token("", NOW, 0), expired);
    assert_eq!(judge_token("", Timestamp(NOW.0 + 999), 1), Ok(()));
    assert_eq!(judge_token("", Timestamp(NOW.0 + 1000), 1), expired);
}

#[test]
fn a_revoked_token_or_session_is_refused_even_inside_the_leeway() {
    for ended in ["token", "session"] {
        for at in [Timestamp(0), NOW] {
            assert_eq!(judge_token(ended, at, 5), Err(Deny::Token(TokenFault::Revoked)), "{ended}");
        }
    }
}

#[test]
fn a_token_without_an_end_is_refused() {
    let mut who = fixture::principal(&[], None);
    who.expires_at = None;
    let outcome = establish_token(&Arc::new(who), &Ended(""), Default::default(), NOW);
    assert_eq!(outcome.map(drop), Err(Deny::Token(TokenFault::Expired)));
}

#[test]
fn a_certificate_stands_for_whom_the_mount_says_until_its_end() {
    let mut mount = fixture::mount("api");
    let who = Arc::new(fixture::principal(&[], None));
    mount.client_certs = [("URI:spiffe://a/b".into(), Arc::clone(&who))].into();
    let shown = |name: &str| ClientCertificate {
        names: vec!["CN:other".into(), name.into()],
        thumbprint: [0; 32],
        not_after: Timestamp::from_secs(100),
    };
    let at = |name: &str, secs| {
        let found = establish_certificate(&shown(name), &mount, Timestamp::from_secs(secs));
        found.map_err(|deny| deny.reason())
    };
    assert_eq!(at("URI:spiffe://a/b", 99), Ok(who));
    assert_eq!(at("URI:spiffe://a/b", 100), Err("certificate_expired"));
    assert_eq!(at("URI:spiffe://a/bc", 99), Err("certificate_unknown"));
    assert_eq!(at("DNS:spiffe://a/b", 99), Err("certificate_unknown"));
}

// requirement: 30
#[test]
fn a_session_is_over_at_its_end_and_when_it_has_rested_too_long() {
    let who =
        |end| Arc::new(Principal { expires_at: Some(end), ..fixture::principal(&["USER"], None) });
    let mount = fixture::mount("api");
    let judge = |idle_until, end| {
        let evidence = SessionEvidence { principal: who(end), ended: false, idle_until };
        establish_session(Some(&evidence), &mount, &Ended(""), NOW).map(|_| ())
    };
    let second = std::time::Duration::from_secs(1);
    let expired = Err(Deny::Session(SessionFault::Expired));
    assert_eq!(judge(None, NOW + second), Ok(()));
    assert_eq!(judge(Some(NOW + second), NOW + second), Ok(()));
    assert_eq!(judge(Some(NOW), NOW + second), expired);
    assert_eq!(judge(Some(NOW + second), NOW), expired);
}

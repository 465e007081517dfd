//! Shapes of bearer, compared with the contract's tables.

use serde_json::{Value, json};

use super::*;
use crate::{
    dialects::fields::{parse, parse_form},
    identity::{FieldError, IdentityError, OidcFault},
    model::secret::ExposeSecret,
    pipeline::{Deny, ReplyFacts},
};

fn body(refusal: &Refusal) -> (u16, Value) {
    let facts = ReplyFacts { request_id: "req_1", path: "/x", method: "POST" };
    let reply = refusal.render(&facts);
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap())
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn the_login_form_is_read_with_whatever_oauth_adds() {
    let mut form = pairs(&[("username", "admin@example.com"), ("password", "a b+c")]);
    let read = |form: &[(String, String)]| parse_form::<LogIn>(form.to_vec());
    let LogIn(login) = read(&form).unwrap();
    assert_eq!(
        (login.name.as_str(), login.password.expose_secret()),
        ("admin@example.com", "a b+c")
    );
    for (name, text) in
        [("grant_type", ""), ("scope", ""), ("client_id", "x"), ("client_secret", "y")]
    {
        form.push((name.to_owned(), text.to_owned()));
    }
    assert!(read(&form).is_ok());
    assert!(
        read(&pairs(&[("username", "a"), ("password", "b"), ("grant_type", "password")])).is_ok()
    );
    let odd = [("username", "a"), ("password", "b"), ("grant_type", "refresh_token")];
    assert_eq!(read(&pairs(&odd)).err().unwrap()[0].field(), "grant_type");
    let wrong = read(&[]).err().unwrap();
    assert_eq!(
        wrong.iter().map(|it| it.field().to_owned()).collect::<Vec<_>>(),
        ["username", "password"]
    );
}

#[test]
fn flags_are_read_and_unknown_fields_are_not() {
    let text =
        br#"{"email":"a@b.c","password":"x","is_superuser":true,"is_active":false,"more":1}"#;
    let Register(new) = parse(text).unwrap();
    assert_eq!(new.email, "a@b.c");
    let update: Update = parse(br#"{"is_superuser":true,"email":null}"#).unwrap();
    assert_eq!(
        (update.is_superuser, update.is_active, update.email.is_none()),
        (Some(true), None, true)
    );
    assert!(parse::<Update>(br#"{"is_superuser":"yes"}"#).is_err());
    assert!(parse::<Address>(b"{}").is_err());
}

#[test]
fn every_code_of_the_contract_stands_in_its_place() {
    let weak = || {
        let fault =
            |message: &str| FieldError { field: "password", kind: "weak", message: message.into() };
        IdentityError::WeakPassword(vec![fault("Too short"), fault("Too plain")])
    };
    for (during, error, wanted) in [
        (During::Login, IdentityError::InvalidCredentials, "LOGIN_BAD_CREDENTIALS"),
        (During::Login, IdentityError::Disabled, "LOGIN_BAD_CREDENTIALS"),
        (During::Login, IdentityError::NotVerified, "LOGIN_USER_NOT_VERIFIED"),
        (
            During::Registration,
            IdentityError::AlreadyExists { field: "email" },
            "REGISTER_USER_ALREADY_EXISTS",
        ),
        (
            During::Update,
            IdentityError::AlreadyExists { field: "email" },
            "UPDATE_USER_EMAIL_ALREADY_EXISTS",
        ),
        (During::Reset, IdentityError::InvalidCode, "RESET_PASSWORD_BAD_TOKEN"),
        (During::Verification, IdentityError::InvalidCode, "VERIFY_USER_BAD_TOKEN"),
        (During::Verification, IdentityError::AlreadyVerified, "VERIFY_USER_ALREADY_VERIFIED"),
    ] {
        assert_eq!(body(&Refusal::during(during, &error)), (400, json!({ "detail": wanted })));
    }
    for (during, code) in [
        (During::Registration, "REGISTER_INVALID_PASSWORD"),
        (During::Update, "UPDATE_USER_INVALID_PASSWORD"),
        (During::Reset, "RESET_PASSWORD_INVALID_PASSWORD"),
    ] {
        let wanted = json!({ "detail": { "code": code, "reason": "Too short. Too plain" } });
        assert_eq!(body(&Refusal::during(during, &weak())), (400, wanted));
    }
}

#[test]
fn only_an_unproven_caller_is_401_and_an_outage_is_503() {
    for error in IdentityError::every() {
        for during in [
            During::Login,
            During::Registration,
            During::Update,
            During::Reset,
            During::Verification,
        ] {
            let (status, body) = body(&Refusal::during(during, &error));
            assert_eq!(status == 401, error == IdentityError::CredentialEnded, "{error:?}");
            let away = IdentityError::Oidc(OidcFault::Away);
            let outage = matches!(error, IdentityError::Busy | IdentityError::Unavailable);
            let outage = outage || error == away;
            assert_eq!(status == 503, outage, "{error:?}");
            assert!(!body["detail"].is_null(), "{error:?}");
        }
    }
}

#[test]
fn the_gateways_refusals_have_the_librarys_words() {
    let of = |deny: Deny| body(&Refusal::from(deny));
    assert_eq!(of(Deny::MissingCredential), (401, json!({ "detail": "Unauthorized" })));
    let forbidden = Deny::forbidden("read");
    assert_eq!(of(forbidden), (403, json!({ "detail": "Forbidden" })));
    assert_eq!(of(Deny::NoRoute), (404, json!({ "detail": "Not Found" })));
    let wrong = Deny::MethodNotAllowed { allow: "GET".into() };
    assert_eq!(of(wrong), (405, json!({ "detail": "Method Not Allowed" })));
    let fields = parse::<Address>(b"{}").err().unwrap();
    let wanted = json!({ "detail": [
        { "type": "missing", "loc": ["body", "email"], "msg": "Field required", "input": null }
    ] });
    assert_eq!(
        body(&<Shape as crate::dialects::refusal::ErrorShape>::invalid(fields)),
        (422, wanted)
    );
}

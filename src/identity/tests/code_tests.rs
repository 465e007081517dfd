//! Codes that are sent to people: asked for, guessed at, used once.

use std::{sync::Arc, time::Duration};

use crate::{
    identity::{CodeForm, CodeRule, CodeSettings, IdentityError, Proof, Settings, test_kit::*},
    model::secret::ExposeSecret,
};

const NEW: &str = "N3w-Enough-also";
const ADDRESS: &str = "ada@example.org";

fn with(form: CodeForm) -> impl FnOnce(&mut Settings) {
    move |settings| {
        let rule = CodeRule { form, ..CodeRule::default() };
        settings.mounts[0].codes = CodeSettings { reset: rule.clone(), verify: rule };
    }
}

fn jwt() -> CodeForm {
    CodeForm::Jwt { audience: "fastapi-users:reset".into() }
}

fn proof(code: &str) -> Proof {
    Proof { code: code.into(), email: Some("ADA@example.org".into()) }
}

async fn asked(kit: &Kit) -> String {
    kit.identity.request_reset(&api(), ADDRESS, &from("192.0.2.1")).await.unwrap();
    let mails = kit.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!((mails[0].0.as_str(), mails[0].1.as_str()), ("reset_password", ADDRESS));
    mails[0].2.clone()
}

async fn reset(kit: &Kit, code: &str, new: &str) -> Result<(), IdentityError> {
    let by = from("192.0.2.1");
    kit.identity.reset_password(&api(), &proof(code), &new.into(), &by).await.map(drop)
}

// requirement: 33
#[tokio::test]
async fn a_code_of_every_form_resets_once_and_ends_every_session() {
    for form in [CodeForm::Token, CodeForm::Digits, jwt()] {
        let kit = Kit::open(with(form.clone())).await;
        kit.user("ada", &["USER"]).await;
        let session = kit.login("ada", GOOD).await.unwrap();
        let code = asked(&kit).await;
        match form {
            CodeForm::Token => assert_eq!(code.len(), 43),
            CodeForm::Digits => assert!(code.len() == 6 && code.parse::<u32>().is_ok()),
            CodeForm::Jwt { .. } => assert_eq!(code.split('.').count(), 3),
        }
        assert!(matches!(reset(&kit, &code, "weak").await, Err(IdentityError::WeakPassword(_))));
        assert!(!kit.is_revoked(&session), "a refused password changes nothing");
        reset(&kit, &code, NEW).await.unwrap();
        assert!(kit.is_revoked(&session));
        kit.login("ada", NEW).await.unwrap();
        assert_eq!(reset(&kit, &code, GOOD).await, Err(IdentityError::InvalidCode), "only once");
        let events = kit.events().await;
        for event in ["PASSWORD_RESET_REQUESTED", "PASSWORD_RESET", "CODE_REFUSED"] {
            assert_eq!(events.iter().filter(|it| *it == event).count(), 1, "{event}");
        }
    }
}

// requirement: 28
#[tokio::test]
async fn nothing_tells_whether_an_address_is_known() {
    let kit = Kit::open(with(CodeForm::Digits)).await;
    kit.user("ada", &["USER"]).await;
    let ask =
        async |address: &str| kit.identity.request_reset(&api(), address, &from("192.0.2.1")).await;
    for address in [ADDRESS, "nobody@example.org"] {
        for _ in 0..3 {
            assert_eq!(ask(address).await, Ok(()));
        }
        assert!(matches!(ask(address).await, Err(IdentityError::Throttled(_))), "{address}");
    }
    assert_eq!(ask("ada").await, Ok(()), "a login name is no address");
    assert_eq!(kit.mails().await.len(), 3);
    let events = kit.events().await;
    assert_eq!(events.iter().filter(|it| *it == "PASSWORD_RESET_REQUESTED").count(), 7);
    let unknown = Proof { code: "123456".into(), email: Some("nobody@example.org".into()) };
    let refused =
        kit.identity.reset_password(&api(), &unknown, &NEW.into(), &from("192.0.2.1")).await;
    assert_eq!(refused.unwrap_err(), IdentityError::InvalidCode);
}

#[tokio::test]
async fn a_short_code_is_void_after_five_wrong_tries() {
    let kit = Kit::open(with(CodeForm::Digits)).await;
    kit.user("ada", &["USER"]).await;
    let code = asked(&kit).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..4 {
        assert_eq!(reset(&kit, wrong, NEW).await, Err(IdentityError::InvalidCode));
    }
    let elsewhere = Proof { code: code.as_str().into(), email: None };
    let by = from("192.0.2.1");
    let refused = kit.identity.reset_password(&api(), &elsewhere, &NEW.into(), &by).await;
    assert_eq!(refused.unwrap_err(), IdentityError::InvalidCode, "digits need the address");
    assert_eq!(reset(&kit, wrong, NEW).await, Err(IdentityError::InvalidCode));
    assert_eq!(reset(&kit, &code, NEW).await, Err(IdentityError::InvalidCode), "guessed at");
    kit.limiter.forget();
    let code = asked(&kit).await;
    reset(&kit, &code, NEW).await.unwrap();
}

// requirement: 33
#[tokio::test]
async fn a_code_ends_by_time_by_a_newer_one_and_by_a_change_of_the_password() {
    for form in [CodeForm::Token, CodeForm::Digits, jwt()] {
        let kit = Kit::open(with(form)).await;
        let ada = kit.user("ada", &["USER"]).await;
        let first = asked(&kit).await;
        let second = asked(&kit).await;
        assert_eq!(reset(&kit, &first, NEW).await, Err(IdentityError::InvalidCode));
        kit.advance(3600);
        assert_eq!(reset(&kit, &second, NEW).await, Err(IdentityError::InvalidCode));
        let third = asked(&kit).await;
        let by = acting(&ada.id);
        let caller = kit.principal(&kit.login("ada", GOOD).await.unwrap());
        let (current, new) = (GOOD.into(), NEW.into());
        kit.identity.change_password(&caller, &current, &new, &by).await.unwrap();
        assert_eq!(reset(&kit, &third, GOOD).await, Err(IdentityError::InvalidCode));
    }
}

// requirement: 33
#[tokio::test]
async fn a_code_of_one_purpose_or_mount_is_none_of_another() {
    for form in [CodeForm::Token, jwt()] {
        let kit = Kit::open(|settings| {
            let rule = CodeRule { form, ..CodeRule::default() };
            for mount in &mut settings.mounts {
                mount.codes = CodeSettings { reset: rule.clone(), verify: rule.clone() };
            }
        })
        .await;
        kit.user("ada", &["USER"]).await;
        let code = asked(&kit).await;
        let by = from("192.0.2.1");
        let verified = kit.identity.verify_email(&api(), &proof(&code), &by).await;
        assert_eq!(verified.unwrap_err(), IdentityError::InvalidCode);
        let other = "other".into();
        let there = kit.identity.reset_password(&other, &proof(&code), &NEW.into(), &by).await;
        assert_eq!(there.unwrap_err(), IdentityError::InvalidCode);
        reset(&kit, &code, NEW).await.unwrap();
    }
}

#[tokio::test]
async fn of_many_at_once_one_resets() {
    let kit = Arc::new(Kit::open(with(CodeForm::Token)).await);
    kit.user("ada", &["USER"]).await;
    let code = asked(&kit).await;
    let mut races = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (kit, code) = (kit.clone(), code.clone());
        races.spawn(async move { reset(&kit, &code, NEW).await.is_ok() });
    }
    let won = races.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn an_address_is_proven_once_and_a_login_may_ask_for_that() {
    let verify = CodeForm::Jwt { audience: "fastapi-users:verify".into() };
    let kit = Kit::open(|settings| {
        settings.realms[0].rules.verified_email = true;
        settings.mounts[0].codes.verify = CodeRule { form: verify, ..CodeRule::default() };
    })
    .await;
    let ada = kit.user("ada", &["USER"]).await;
    assert!(!ada.email_verified);
    assert_eq!(kit.login("ada", GOOD).await.unwrap_err(), IdentityError::NotVerified);
    assert_eq!(kit.login("ada", "wrong").await.unwrap_err(), IdentityError::InvalidCredentials);
    let by = from("192.0.2.1");
    kit.identity.request_verification(&api(), ADDRESS, &by).await.unwrap();
    let code = kit.mails().await.remove(0).2;
    let verified = kit.identity.verify_email(&api(), &proof(&code), &by).await.unwrap();
    assert!(verified.email_verified);
    kit.login("ada", GOOD).await.unwrap();
    let again = kit.identity.verify_email(&api(), &proof(&code), &by).await;
    assert_eq!(again.unwrap_err(), IdentityError::AlreadyVerified);
    kit.identity.request_verification(&api(), ADDRESS, &by).await.unwrap();
    assert!(kit.mails().await.is_empty(), "nothing is left to prove");
}

#[tokio::test]
async fn no_code_stands_in_the_store() {
    let kit = Kit::open(with(CodeForm::Token)).await;
    kit.user("ada", &["USER"]).await;
    kit.identity.request_reset(&api(), ADDRESS, &from("192.0.2.1")).await.unwrap();
    let before = kit.file();
    let code = kit.mails().await.remove(0).2;
    for bytes in [before, kit.file()] {
        assert!(!bytes.windows(code.len()).any(|part| part == code.as_bytes()));
    }
    let parcels = kit.identity.parcels(crate::identity::outbox::MAIL, 9).await.unwrap();
    assert!(parcels.is_empty());
    assert!(!format!("{:?}", proof(&code)).contains(&code));
    assert_eq!(proof(&code).code.expose_secret(), code);
}

#[tokio::test]
async fn what_is_not_delivered_is_tried_again_in_time_and_then_given_up() {
    use crate::identity::{Delivery, outbox::MAIL};
    let kit = Kit::open(with(CodeForm::Token)).await;
    kit.user("ada", &["USER"]).await;
    let mut bell = kit.identity.outbox_bell();
    kit.identity.request_reset(&api(), ADDRESS, &from("192.0.2.1")).await.unwrap();
    assert!(bell.has_changed().unwrap());
    bell.mark_unchanged();
    let leased = async || kit.identity.parcels(MAIL, 10).await.unwrap();
    let first = leased().await.remove(0);
    assert_eq!(first.attempt, 1);
    assert!(leased().await.is_empty(), "leased");
    let later = Delivery::Later(Duration::from_secs(30));
    kit.identity.delivered(MAIL, &first, later.clone()).await.unwrap();
    assert!(leased().await.is_empty(), "not yet");
    kit.advance(30);
    let second = leased().await.remove(0);
    assert_eq!((second.attempt, &second.id, &second.content), (2, &first.id, &first.content));
    kit.advance(120);
    let third = leased().await.remove(0);
    assert_eq!(third.attempt, 3, "whoever had it never came back");

    // A stop in the middle: the next start carries it anew at once.
    let kit = kit.reopen(with(CodeForm::Token)).await;
    let fourth = kit.identity.parcels(MAIL, 10).await.unwrap().remove(0);
    assert_eq!(fourth.attempt, 4);
    assert_eq!(kit.identity.backlog(MAIL).await.unwrap().waiting, 1);
    kit.advance(3600);
    kit.identity.delivered(MAIL, &fourth, later).await.unwrap();
    assert!(kit.identity.parcels(MAIL, 10).await.unwrap().is_empty());
    assert_eq!(kit.identity.backlog(MAIL).await.unwrap().waiting, 0);
    assert_eq!(kit.events().await.last().unwrap(), "DELIVERY_GIVEN_UP");
}

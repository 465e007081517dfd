//! Names and refusals, as the contract's tables have them.

use crate::{
    dialects::hh::wire::{Refusal, core_name, events::wire_name},
    identity::{ForeignFault, IdentityError},
    pipeline::{Deny, ReplyFacts, deny::SessionFault},
};

fn rendered(refusal: &Refusal) -> (u16, String) {
    let facts = ReplyFacts { request_id: "req_1", path: "/x", method: "GET" };
    let reply = refusal.render(&facts);
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    (reply.status.as_u16(), body["detail"].as_str().unwrap().to_owned())
}

#[test]
fn every_event_has_one_name_in_each_direction() {
    for (wire, core) in [
        ("login", "LOGIN_SUCCESS"),
        ("logout", "LOGOUT"),
        ("token_refresh", "TOKEN_REFRESH"),
        ("user_allowed", "USER_ALLOWED"),
        ("user_removed", "USER_REMOVED"),
        ("session_terminated", "SESSION_ENDED"),
        ("login_failed", "LOGIN_FAILED"),
        ("rate_limit_exceeded", "RATE_LIMIT_EXCEEDED"),
    ] {
        assert_eq!((wire_name(core).as_str(), core_name(wire).as_str()), (wire, core));
    }
}

#[test]
fn refusals_say_what_the_contract_says() {
    let allowed = ForeignFault::NotAllowed { subject: "174714255".into() };
    for (fault, status, text) in [
        (ForeignFault::State, 400, "Invalid or expired state parameter"),
        (ForeignFault::Code, 400, "Invalid or expired exchange code"),
        (ForeignFault::CodeSpent, 400, "Invalid or expired exchange code"),
        (allowed, 403, "User 174714255 is not allowed to access this service"),
        (ForeignFault::Session, 401, "Invalid session"),
        (ForeignFault::Administrator, 401, "Invalid admin credentials"),
        (ForeignFault::Provider, 502, "The provider cannot be reached"),
    ] {
        let refusal = Refusal::from(&IdentityError::Foreign(fault.clone()));
        assert_eq!(rendered(&refusal), (status, text.to_owned()), "{fault:?}");
        assert_eq!(refusal.challenge, (fault == ForeignFault::Administrator).then_some("Basic"));
    }
    for (error, status, text) in [
        (IdentityError::Unavailable, 503, "Service temporarily unavailable"),
        (IdentityError::Internal, 500, "An internal error occurred. Please try again later."),
    ] {
        assert_eq!(rendered(&Refusal::from(&error)), (status, text.to_owned()));
    }
    for fault in [SessionFault::Invalid, SessionFault::Expired, SessionFault::Ended] {
        let refusal = Refusal::from(&Deny::Session(fault));
        assert_eq!(rendered(&refusal), (401, "Invalid session".to_owned()));
    }
}

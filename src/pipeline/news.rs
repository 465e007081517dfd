//! What has just ended or changed, told to whoever keeps something open that hangs on it.

use super::Deny;
use crate::model::{AccountId, KeyId, Principal, SessionId, TokenId};

/// One piece of news. It says what to look at again, not what to find: that is asked as for a new request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// A token was ended.
    Token(TokenId),
    /// A session was ended, and with it every token of it.
    Session(SessionId),
    /// A key was revoked or replaced, or may do something else now.
    Key(KeyId),
    /// An account was disabled, removed, or has other roles.
    Account(AccountId),
    /// More changed than can be told one by one.
    Anything,
}

impl News {
    /// Whether this caller's credential may hang on it.
    pub fn concerns(&self, who: &Principal) -> bool {
        match self {
            News::Token(id) => who.token.as_ref() == Some(id),
            News::Session(id) => who.session.as_ref() == Some(id),
            News::Key(id) => who.key.as_ref() == Some(id),
            News::Account(id) => who.subject == *id,
            News::Anything => true,
        }
    }
}

/// What a key may do now, held against what it could when something began under it: what has lost a role or a scope since
/// may not go on with it.
pub fn still_reaches(then: &Principal, now: &Principal) -> Result<(), Deny> {
    let roles = then.roles.iter().all(|role| now.roles.contains(role));
    let scopes = match (&then.scopes, &now.scopes) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(then), Some(now)) => then.iter().all(|scope| now.contains(scope)),
    };
    if roles && scopes && then.tenant == now.tenant {
        return Ok(());
    }
    Err(Deny::Forbidden { action: "continue".into(), lack: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixture::principal as keyed;

    #[test]
    fn what_is_lost_ends_and_what_is_won_does_not() {
        let then = keyed(&["USER", "EDITOR"], Some(&["READ", "WRITE"]));
        for (now, goes_on) in [
            (keyed(&["USER", "EDITOR"], Some(&["READ", "WRITE"])), true),
            (keyed(&["ADMIN", "EDITOR", "USER"], Some(&["READ", "WRITE", "MORE"])), true),
            (keyed(&["USER", "EDITOR"], None), true),
            (keyed(&["USER"], Some(&["READ", "WRITE"])), false),
            (keyed(&["USER", "EDITOR"], Some(&["READ"])), false),
            (Principal { tenant: Some("other".into()), ..then.clone() }, false),
        ] {
            assert_eq!(still_reaches(&then, &now).is_ok(), goes_on, "{now:?}");
        }
        let unbound = keyed(&["USER"], None);
        assert!(still_reaches(&unbound, &keyed(&["USER"], Some(&["READ"]))).is_err());
    }

    #[test]
    fn news_concern_those_who_hang_on_it_and_nobody_else() {
        let who = Principal {
            session: Some("s".into()),
            token: Some("t".into()),
            key: Some("k".into()),
            ..keyed(&["USER"], None)
        };
        let own = [
            News::Token("t".into()),
            News::Session("s".into()),
            News::Key("k".into()),
            News::Account(who.subject.clone()),
            News::Anything,
        ];
        assert!(own.iter().all(|news| news.concerns(&who)));
        let others = [
            News::Token("x".into()),
            News::Session("x".into()),
            News::Key("x".into()),
            News::Account("x".into()),
        ];
        assert!(!others.iter().any(|news| news.concerns(&who)));
        let bare = Principal { session: None, token: None, key: None, ..who };
        assert!(!own[..3].iter().any(|news| news.concerns(&bare)));
    }
}

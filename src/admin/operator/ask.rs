//! Reading what the operator asks: bodies, queries, and names that may be left out when there is only one choice.

use axum::{
    extract::{FromRequest, FromRequestParts, Json, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use super::{super::problem::Problem, App};
use crate::{
    identity::{Account, IdentityError},
    model::{KeyId, MountName, RealmName, Timestamp},
};

/// Most entries of one list.
const MAX_LIMIT: u32 = 1000;
const DEFAULT_LIMIT: u32 = 100;

/// A JSON body. An absent one counts as `{}`.
pub(super) struct Sent<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = bytes::Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        match Json::<T>::from_bytes(text) {
            // Not every store can keep it, and elsewhere it ends a text.
            Ok(_) if has_nul(text) => Err(nul()),
            Ok(Json(value)) => Ok(Self(value)),
            Err(JsonRejection::JsonSyntaxError(error)) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, "json", error.body_text()))
            }
            Err(error) => Err(Problem::invalid(error.body_text(), Vec::new())),
        }
    }
}

/// Whether a text in this JSON has the character NUL, which can only be written in one way.
pub(super) fn has_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let escape = rest.get(at + 1..).unwrap_or_default();
        if escape.starts_with(b"u0000") {
            return true;
        }
        // What is escaped may be a backslash itself.
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

/// The refusal of such a text.
pub(super) fn nul() -> Problem {
    Problem::invalid("a text must not contain the NUL character", Vec::new())
}

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(nul());
        }
        Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::invalid(rejection.body_text(), Vec::new()))
    }
}

/// `?realm=`; may be left out when there is exactly one.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InRealm {
    /// Realm; may be left out when there is exactly one.
    pub(super) realm: Option<String>,
}

/// `?mount=`; may be left out.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AtMount {
    /// Mount; may be left out: the key is looked for at every mount.
    pub(super) mount: Option<String>,
}

/// A part of the accounts. Each list takes its own filters and refuses others: one that is silently ignored shows too
/// much.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsersAsked {
    /// Only of this realm.
    pub(super) realm: Option<String>,
    /// Id after which to go on: `next` of the part before.
    pub(super) after: Option<String>,
    /// Most entries, 1 to 1000; 100 when left out.
    pub(super) limit: Option<u32>,
}

/// A part of the keys.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeysAsked {
    /// Only of this mount.
    pub(super) mount: Option<String>,
    /// Id after which to go on: `next` of the part before.
    pub(super) after: Option<String>,
    /// Most entries, 1 to 1000; 100 when left out.
    pub(super) limit: Option<u32>,
}

/// A part of the clients.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ClientsAsked {
    /// Only of this mount.
    pub(super) mount: Option<String>,
    /// Id after which to go on: `next` of the part before.
    pub(super) after: Option<String>,
    /// Most entries, 1 to 1000; 100 when left out.
    pub(super) limit: Option<u32>,
}

/// The newest of what lives, of sessions or tokens.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionsAsked {
    /// Only of this realm.
    pub(super) realm: Option<String>,
    /// Only of this user (id, login name or e-mail).
    pub(super) user: Option<String>,
    /// Most entries, 1 to 1000; 100 when left out.
    pub(super) limit: Option<u32>,
}

/// The newest events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsAsked {
    /// Most entries, 1 to 1000; 100 when left out.
    pub(super) limit: Option<u32>,
}

/// A part of the audit log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RangeAsked {
    /// Whose chain; that of the node that is asked when left out.
    pub(super) node: Option<String>,
    /// Behind this place in the chain; from its beginning when left out.
    pub(super) after: Option<u64>,
    /// At this moment or later (RFC 3339, or a day in UTC).
    pub(super) since: Option<String>,
    /// Before this moment.
    pub(super) until: Option<String>,
    /// Most entries, 1 to 1000; 100 when left out.
    pub(super) limit: Option<u32>,
}

/// A moment that was asked for.
pub(super) fn moment(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    Timestamp::parse(text).map(Some).ok_or_else(|| {
        let message = format!("{field} must be a moment such as 2026-01-31T12:00:00Z, or a day");
        Problem::field(field, "invalid", message)
    })
}

/// The number of entries that was asked for.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Some(_) => {
            let message = format!("limit must be 1 to {MAX_LIMIT}");
            Err(Problem::field("limit", "out_of_range", message))
        }
    }
}

/// Answer of a command that has nothing else to say.
#[derive(serde::Serialize, ToSchema)]
pub(super) struct Done {
    /// What was done.
    pub(super) message: String,
}

impl App {
    /// The named realm, or the only one.
    pub(super) fn realm(&self, name: Option<&str>) -> Result<RealmName, Problem> {
        let all = self.parts.shared.realms();
        choose("realm", name, all, RealmName::as_str)
    }

    /// A named realm, or none for "all".
    pub(super) fn realm_filter(&self, name: Option<&str>) -> Result<Option<RealmName>, Problem> {
        name.map(|name| self.realm(Some(name))).transpose()
    }

    /// The named mount with its realm, or the only one.
    pub(super) fn mount(&self, name: Option<&str>) -> Result<(MountName, RealmName), Problem> {
        choose("mount", name, self.parts.shared.mounts(), |(mount, _)| mount.as_str())
    }

    /// A named mount, or none for "all".
    pub(super) fn mount_filter(&self, name: Option<&str>) -> Result<Option<MountName>, Problem> {
        name.map(|name| Ok(self.mount(Some(name))?.0)).transpose()
    }

    /// The account of a login name, e-mail address or id.
    pub(super) async fn account(&self, realm: &RealmName, name: &str) -> Result<Account, Problem> {
        let found = self.parts.identity.find_account(realm, name).await;
        found.map_err(|error| match error {
            IdentityError::NotFound => {
                let what = format!("realm {realm} has no account {name:?}");
                Problem::new(StatusCode::NOT_FOUND, error.reason(), what)
            }
            other => other.into(),
        })
    }

    /// The mount a key belongs to: the named one, or the one that knows the key.
    pub(super) async fn mount_of_key(
        &self,
        mount: Option<&str>,
        id: &KeyId,
    ) -> Result<MountName, Problem> {
        if mount.is_some() {
            return Ok(self.mount(mount)?.0);
        }
        for (mount, _) in self.parts.shared.mounts() {
            match self.parts.identity.key(&mount, id).await {
                Ok(_) => return Ok(mount),
                Err(IdentityError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Problem::new(StatusCode::NOT_FOUND, "not_found", format!("no mount has a key {id}")))
    }
}

fn choose<T>(
    what: &'static str,
    name: Option<&str>,
    all: Vec<T>,
    text: impl Fn(&T) -> &str,
) -> Result<T, Problem> {
    let names = all.iter().map(&text).collect::<Vec<_>>().join(", ");
    let Some(name) = name else {
        let mut all = all.into_iter();
        return match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Problem::field(what, "missing", format!("say which {what}: {names}"))),
        };
    };
    all.into_iter().find(|one| text(one) == name).ok_or_else(|| {
        Problem::field(what, "unknown", format!("unknown {what} {name:?}; there are: {names}"))
    })
}

#[cfg(test)]
mod tests {
    use super::has_nul;

    #[test]
    fn nul_is_found_where_it_is_written_and_not_where_a_backslash_stands_for_itself() {
        for (json, found) in [
            (r#"{"a": "x\u0000"}"#, true),
            (r#"{"a": "\\\u0000"}"#, true),
            (r#"{"a": "\\u0000"}"#, false),
            (r#"{"a": "\u00001"}"#, true),
            (r#"{"a": "\u0001 u0000 \n"}"#, false),
            ("\\", false),
            ("", false),
        ] {
            assert_eq!(has_nul(json.as_bytes()), found, "{json}");
        }
    }
}

//! Identifiers as types, so that a session id cannot be passed where a key id is meant.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text that is already known to be such an id.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id as text, as it stands on the wire and in the store.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// An account of one realm: a lower-case UUID as text. It is the `sub` of our tokens.
    AccountId
);
text_id!(
    /// A login session: everything issued at one login (access tokens, refresh family) hangs on it.
    SessionId
);
text_id!(
    /// The public half of an API key, prefix included (`tmws_key_…`), without the secret.
    KeyId
);
text_id!(
    /// The `client_id` of a client of the standard issuer; the `sub` of tokens in which it acts for itself.
    ClientId
);
text_id!(
    /// The `jti` of one access token (RFC 7519 section 4.1.7).
    TokenId
);
text_id!(
    /// Name of a realm in the configuration.
    RealmName
);
text_id!(
    /// Name of a mount in the configuration.
    MountName
);
text_id!(
    /// An organisation of one realm: a lower-case UUID as text. It is the `tenant` of its members.
    OrganisationId
);
text_id!(
    /// A group of members of one organisation.
    TeamId
);
text_id!(
    /// A permission that one organisation hands out.
    PermissionId
);

//! What the edge tells identity about a request, and what identity tells back, over the private socket.
//!
//! Both travel in one header each. Identity believes the context only on that socket (0600, in the data folder); the
//! edge removes both names from every client request and every response.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{AccountId, ClientFacts, KeyId, MountName, Offered, Principal, SessionId, TokenId};

/// Request header from edge to identity.
pub const CONTEXT_HEADER: &str = "x-portcullis-context";
/// Response header from identity to edge.
pub const VERDICT_HEADER: &str = "x-portcullis-verdict";

/// Response header from identity to an edge node at the other end of a link.
pub const NEWS_HEADER: &str = "x-portcullis-news";

/// Edge to identity: which mount was asked, by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopContext {
    /// The mount whose endpoint this is.
    pub mount: MountName,
    /// Client facts.
    pub client: ClientFacts,
    /// The proven caller, on protected endpoints.
    pub principal: Option<Principal>,
    /// Contracts of other mounts that claim the same endpoint and are content with one answer to all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<String>,
    /// What came of a proof, where a client may bring one to be given a bound token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Offered>,
}

/// Identity to edge: what the access log and the rate headers should say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HopVerdict {
    /// Stable reason code of a refusal (`invalid_credentials`, `account_locked`, …).
    pub reason: Option<String>,
    /// Account the request turned out to be about, for the log.
    pub subject: Option<String>,
    /// State of a limit that identity charged.
    pub toll: Option<HopToll>,
}

/// Identity to an edge node: what was changed while it worked on the request. Known there before the client has its answer,
/// what it ended is refused from then on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HopNews {
    /// Tokens that have ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenId>,
    /// Sessions that have ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionId>,
    /// Keys that are different now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyId>,
    /// Accounts that may do something else now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// More than can be told one by one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anything: bool,
}

/// A toll in transit; durations in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopToll {
    /// Limit name.
    pub name: String,
    /// Requests per window.
    pub limit: u32,
    /// Window length.
    pub window_ms: u64,
    /// Left.
    pub remaining: u32,
    /// Until full.
    pub reset_ms: u64,
    /// Until one fits, when refused.
    pub retry_ms: Option<u64>,
}

/// Writes a value as one header field.
pub fn encode<T: Serialize>(value: &T) -> String {
    // These types have text keys only and no failing serialiser: this cannot fail, and empty decodes to nothing.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

/// Reads it back; `None` unless it is exactly what [`encode`] wrote.
pub fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_read_back_and_fits_a_header() {
        let client = ClientFacts {
            address: "2001:db8::1".parse().unwrap(),
            request_id: "req_1".into(),
            user_agent: Some("a\u{e4}\"\\".into()),
        };
        let context = HopContext {
            mount: "api".into(),
            client,
            principal: None,
            joined: vec!["hh".into()],
            offered: Some(Offered::Key([7; 32])),
        };
        let text = encode(&context);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(decode::<HopContext>(&text), Some(context));
    }

    #[test]
    fn anything_else_is_not_read() {
        for text in ["", "e30", "e30=", "{}", "\u{e4}", "bnVsbA"] {
            assert_eq!(decode::<HopContext>(text), None, "{text}");
        }
    }
}

//! Logins of people for a client: the code flow (RFC 6749 section 4.1) with PKCE (RFC 7636, S256 only), an exact redirect
//! address, and `iss` in the answer (RFC 9207).

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Grant, GrantFault, Server, Wanted, targets};
use crate::{
    identity::{Actor, Identity, IdentityError, Login},
    model::{ClientId, Digest, MountName, SecretString, SessionId, Timestamp, opaque},
    store::{AuditRecord, ClientRecord, ClientSession, CodeRecord},
};

/// How long a code is good: a browser brings it on at once.
pub(super) const CODE_LIFETIME: std::time::Duration = std::time::Duration::from_secs(60);
/// Length of an S256 challenge.
const CHALLENGE: usize = 43;
/// Longest `state`.
const LONGEST_STATE: usize = 2048;

/// What an application asks for when it sends a browser. Nothing of it is believed.
#[derive(Clone, Debug, Default)]
pub struct Authorization {
    /// `client_id`.
    pub client_id: Option<String>,
    /// `redirect_uri`.
    pub redirect_uri: Option<String>,
    /// `response_type`.
    pub response_type: Option<String>,
    /// `response_mode`.
    pub response_mode: Option<String>,
    /// `code_challenge`.
    pub challenge: Option<String>,
    /// `code_challenge_method`.
    pub challenge_method: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// Scope and resources.
    pub wanted: Wanted,
}

/// Where a browser goes next.
#[derive(Debug)]
pub enum Step {
    /// The person is asked for name and password.
    Ask {
        /// Name of the client.
        client: String,
        /// Where the browser will be sent back to.
        redirect_uri: String,
    },
    /// Back to the client, with an error.
    Back(SecretString),
}

/// What a code stands for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CodeFacts {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) session: String,
}

/// A request that is in order.
struct Asked {
    client: ClientRecord,
    redirect_uri: String,
    state: Option<String>,
    challenge: String,
    /// What may be granted at most; what the person's roles hold is not known yet.
    scopes: Vec<String>,
    audiences: Vec<String>,
}

/// A request that is not: told to the person where the browser must not be sent on, else to the client.
enum Odd {
    Here(IdentityError),
    There { client: ClientId, redirect_uri: String, state: Option<String>, error: &'static str },
}

impl From<IdentityError> for Odd {
    fn from(error: IdentityError) -> Self {
        Self::Here(error)
    }
}

impl Identity {
    /// Looks at what an application asks for before anybody is asked for a password.
    pub async fn authorizing(
        &self,
        mount: &MountName,
        authorization: &Authorization,
    ) -> Result<Step, IdentityError> {
        let server = self.login_server(mount)?;
        match self.asked(&server, authorization).await {
            Ok(asked) => {
                Ok(Step::Ask { client: asked.client.name, redirect_uri: asked.redirect_uri })
            }
            Err(odd) => refused(&server, odd).map(Step::Back),
        }
    }

    /// Proves the person by name and password under the rules of the realm, opens a session for the client, and gives the
    /// address that the browser goes back to.
    pub async fn authorize(
        &self,
        mount: &MountName,
        authorization: &Authorization,
        login: Login,
        by: &Actor,
    ) -> Result<SecretString, IdentityError> {
        let server = self.login_server(mount)?;
        let asked = match self.asked(&server, authorization).await {
            Ok(asked) => asked,
            Err(odd) => return refused(&server, odd),
        };
        let (code, digest) =
            opaque::issue(&*self.inner.random).map_err(|_| IdentityError::Internal)?;
        let Asked { client, redirect_uri, state, challenge, scopes, audiences } = asked;
        let grant = ClientLogin {
            client: client.id.clone(),
            purpose: purpose(mount),
            digest,
            redirect_uri: redirect_uri.clone(),
            challenge,
            scopes,
            audiences,
        };
        self.login_for_client(mount, login, &grant, by).await?;
        Ok(back(&server, &redirect_uri, state.as_deref(), &[("code", expose(&code))]))
    }

    /// What a form of ours carries, so that no other site can send one: only the browser that was shown it has both.
    pub fn form_proof(&self, browser: &SecretString, request: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.inner.proof_key);
        let mut context = hmac::Context::with_key(&key);
        for part in ["login form", expose(browser), request] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        URL_SAFE_NO_PAD.encode(context.sign().as_ref())
    }

    fn login_server(&self, mount: &MountName) -> Result<Server, IdentityError> {
        let server = self.server(mount)?;
        if server.own.login { Ok(server) } else { Err(IdentityError::NotFound) }
    }

    async fn asked(&self, server: &Server, authorization: &Authorization) -> Result<Asked, Odd> {
        const NO_CLIENT: IdentityError = IdentityError::Grant(GrantFault::Request(
            "client_id or redirect_uri is not registered",
        ));
        let Authorization { client_id, redirect_uri, response_type, wanted, .. } = authorization;
        let (Some(id), Some(redirect_uri)) = (client_id, redirect_uri) else {
            return Err(NO_CLIENT.into());
        };
        let id = ClientId::from(id.as_str());
        let found = self.inner.store.client(&server.mount.name, &id).await;
        let found = found.map_err(IdentityError::from)?;
        let logs_in = |client: &ClientRecord| {
            client.is_live(self.now())
                && client.grants.iter().any(|own| own == Grant::AuthorizationCode.as_str())
                // RFC 9700 section 2.1: byte for byte.
                && client.redirect_uris.iter().any(|own| own == redirect_uri)
        };
        let Some(client) = found.filter(logs_in) else { return Err(NO_CLIENT.into()) };
        let state = authorization.state.clone().filter(|state| state.len() <= LONGEST_STATE);
        let too_long = state.is_none() && authorization.state.is_some();
        let challenge = authorization.challenge.clone().unwrap_or_default();
        let odd = |error: &'static str| Odd::There {
            client: client.id.clone(),
            redirect_uri: redirect_uri.clone(),
            state: state.clone(),
            error,
        };
        if response_type.as_deref() != Some("code") {
            let absent = response_type.is_none();
            return Err(odd(if absent { "invalid_request" } else { "unsupported_response_type" }));
        }
        let mode = authorization.response_mode.as_deref();
        let method = authorization.challenge_method.as_deref();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let challenged =
            method == Some("S256") && challenge.len() == CHALLENGE && challenge.bytes().all(plain);
        if too_long || !challenged || mode.is_some_and(|mode| mode != "query") {
            return Err(odd("invalid_request"));
        }
        let scopes = targets::scopes(&server.own, wanted.scope.as_deref(), &client, &[]);
        let own = [server.own.audience.to_string()];
        let audiences = if wanted.resources.is_empty() {
            Ok(own.to_vec())
        } else {
            let all: Vec<String> = own.into_iter().chain(client.resources.clone()).collect();
            targets::audiences(wanted, &client, &server.own, &all)
        };
        match (scopes, audiences) {
            (Ok(scopes), Ok(audiences)) => Ok(Asked {
                redirect_uri: redirect_uri.clone(),
                client: client.clone(),
                state: state.clone(),
                challenge,
                scopes,
                audiences,
            }),
            (Err(_), _) => Err(odd("invalid_scope")),
            (_, Err(_)) => Err(odd("invalid_target")),
        }
    }
}

/// What a login for a client leaves in the store beside its session.
pub(in crate::identity) struct ClientLogin {
    client: ClientId,
    purpose: String,
    digest: Digest,
    redirect_uri: String,
    challenge: String,
    scopes: Vec<String>,
    audiences: Vec<String>,
}

impl ClientLogin {
    /// The records of a session just proven.
    pub(in crate::identity) fn records(
        &self,
        realm: &crate::model::RealmName,
        account: &crate::model::AccountId,
        session: &SessionId,
        now: Timestamp,
    ) -> ClientSession {
        ClientSession {
            client: self.client.clone(),
            scopes: self.scopes.clone(),
            audiences: self.audiences.clone(),
            code: CodeRecord {
                realm: realm.clone(),
                purpose: self.purpose.clone(),
                digest: self.digest,
                account: Some(account.clone()),
                payload: json!(CodeFacts {
                    client: self.client.to_string(),
                    redirect_uri: self.redirect_uri.clone(),
                    challenge: self.challenge.clone(),
                    session: session.to_string(),
                }),
                created_at: now,
                expires_at: now + CODE_LIFETIME,
            },
        }
    }

    /// When the session ends if nobody brings the code.
    pub(in crate::identity) fn ends(now: Timestamp) -> Timestamp {
        now + CODE_LIFETIME
    }

    /// Adds whom it is for to the event of the login.
    pub(in crate::identity) fn told(&self, event: AuditRecord) -> AuditRecord {
        let mut details = event.details;
        if let Some(members) = details.as_object_mut() {
            members.insert("client".to_owned(), self.client.as_str().into());
        }
        AuditRecord { details, ..event }
    }
}

/// The purpose of codes of a mount: a code of one mount is none of another.
pub(super) fn purpose(mount: &MountName) -> String {
    format!("oauth_code:{mount}")
}

/// The purpose of what is remembered of codes that were traded.
pub(super) fn spent(mount: &MountName) -> String {
    format!("oauth_code_spent:{mount}")
}

/// RFC 7636 section 4.6, in constant time.
pub(super) fn fits(challenge: &str, verifier: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(plain);
    let made = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes());
    // Digests compare in constant time.
    formed && Digest::of(made.as_bytes()) == Digest::of(challenge.as_bytes())
}

fn refused(server: &Server, odd: Odd) -> Result<SecretString, IdentityError> {
    match odd {
        Odd::Here(error) => Err(error),
        Odd::There { client, redirect_uri, state, error } => {
            tracing::info!(event = "authorization_refused", %client, error);
            Ok(back(server, &redirect_uri, state.as_deref(), &[("error", error)]))
        }
    }
}

/// The client's own address with our answer in its query.
fn back(
    server: &Server,
    redirect_uri: &str,
    state: Option<&str>,
    answer: &[(&str, &str)],
) -> SecretString {
    let sign = if redirect_uri.contains('?') { '&' } else { '?' };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    query.extend_pairs(state.map(|state| ("state", state)));
    query.append_pair("iss", &server.own.issuer);
    format!("{redirect_uri}{sign}{}", query.finish()).into()
}

fn expose(text: &SecretString) -> &str {
    crate::model::secret::ExposeSecret::expose_secret(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_fits_its_challenge_and_no_other() {
        // RFC 7636 appendix B.
        let (verifier, challenge) = (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        );
        assert!(fits(challenge, verifier));
        assert!(!fits(challenge, challenge));
        assert!(!fits(verifier, verifier), "plain is no method here");
        assert!(!fits(challenge, &format!("{verifier}A")));
        assert!(!fits("", ""));
    }
}

//! Who asks: a client by its secret (RFC 6749 section 2.3.1) or by a signed proof (RFC 7523 section 2.2).

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Grant, GrantFault, Server, client_keys};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, audit, lockout::Counted},
    model::{
        ClientId, Confirmation, Digest, MountName, Offered, SecretString, Timestamp, opaque,
        secret::ExposeSecret,
    },
    pipeline::jwt::{Form, TokenProfile},
    store::{AuditRecord, ClientRecord},
};

/// Longest `client_id`, and longest `jti` of a proof.
const LONGEST_ID: usize = 256;
/// How far ahead a proof may end: each is remembered until then.
const FARTHEST: Duration = Duration::from_secs(10 * 60);
/// Clocks of clients are not ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// What a client brings to say who it is.
#[derive(Debug)]
pub enum ClientProof {
    /// Id and secret.
    Secret {
        /// `client_id`.
        id: String,
        /// `client_secret`.
        secret: SecretString,
    },
    /// A signed proof.
    Assertion {
        /// `client_id`, where it came beside.
        id: Option<String>,
        /// `client_assertion`.
        text: SecretString,
    },
}

/// A client that is the one it says, and may use the issuer now.
#[derive(Clone, Debug)]
pub struct ProvenClient {
    pub(super) record: ClientRecord,
    /// What it has shown beside: what it is given is bound to that.
    pub(super) bound: Option<Confirmation>,
}

impl ProvenClient {
    /// Its id.
    pub fn id(&self) -> &ClientId {
        &self.record.id
    }

    /// What it showed with its request for a token to be bound to.
    pub fn offering(self, offered: Option<Offered>) -> Result<Self, IdentityError> {
        match offered {
            None => Ok(self),
            Some(Offered::Key(key)) => {
                let bound = Confirmation { key: Some(key), certificate: None };
                Ok(Self { bound: Some(bound), ..self })
            }
            Some(Offered::Certificate(certificate)) => {
                let bound = Confirmation { key: None, certificate: Some(certificate) };
                Ok(Self { bound: Some(bound), ..self })
            }
            Some(Offered::Faulty) => Err(IdentityError::Grant(GrantFault::Proof)),
            Some(Offered::WithoutNonce) => Err(IdentityError::Grant(GrantFault::Nonce)),
        }
    }

    /// Refuses what the client was not made for.
    pub fn may(&self, grant: Grant) -> Result<(), IdentityError> {
        let own = self.record.grants.iter().any(|name| name == grant.as_str());
        own.then_some(()).ok_or(IdentityError::Grant(GrantFault::NotAllowed))
    }
}

const REFUSED: IdentityError = IdentityError::Grant(GrantFault::Client);

impl Identity {
    /// Finds out which client asks. Failures are counted per address, and per address and client, by the realm's throttle.
    pub async fn prove_client(
        &self,
        mount: &MountName,
        proof: &ClientProof,
        by: &Actor,
    ) -> Result<ProvenClient, IdentityError> {
        let server = self.server(mount)?;
        let rules = self.inner.state().rules(&server.mount.realm)?;
        let id = named(proof);
        // No login name has a colon.
        let name = format!("client:{}", id.as_ref().map_or("", ClientId::as_str));
        let counted = Counted::new(&server.mount.realm, &name, by);
        self.inner.refuse_throttled(&rules, &counted).await?;
        let now = self.now();
        let found = match &id {
            Some(id) => self.inner.store.client(&server.mount.name, id).await?,
            None => None,
        };
        let good = match proof {
            ClientProof::Secret { secret, .. } => is_secret(found.as_ref(), secret, now),
            ClientProof::Assertion { text, .. } => match &found {
                Some(client) => self.is_signed(&server, client, text, now).await?,
                None => false,
            },
        };
        match found {
            Some(client) if good && client.is_live(now) && client.realm == server.mount.realm => {
                Ok(ProvenClient { record: client, bound: None })
            }
            found => {
                self.inner.charge_failure(&rules, &counted).await?;
                let reason = match &found {
                    // What was typed stays out: it may be a secret in the wrong field.
                    None => "unknown_client",
                    Some(_) if !good => "wrong_proof",
                    Some(_) => "client_ended",
                };
                let id = found.map(|client| client.id.to_string());
                let refused = AuditRecord {
                    realm: Some(server.mount.realm.clone()),
                    mount: Some(server.mount.name.clone()),
                    details: json!({ "reason": reason, "client": id }),
                    ..audit::event(EventKind::ClientRefused, by, now)
                };
                self.inner.store.audit_append(&[refused]).await?;
                Err(REFUSED)
            }
        }
    }

    /// Whether the proof is this client's, for us, young, and new.
    async fn is_signed(
        &self,
        server: &Server,
        client: &ClientRecord,
        text: &SecretString,
        now: Timestamp,
    ) -> Result<bool, IdentityError> {
        let Some(set) = &client.jwks else { return Ok(false) };
        let keys = client_keys::read(set).map_err(|why| {
            tracing::error!(event = "client_keys_unreadable", client = %client.id, why);
            IdentityError::Internal
        })?;
        let profile = TokenProfile { keys, ..client_keys::blank() };
        let Some(claims) = profile.verified_claims(text.expose_secret()) else { return Ok(false) };
        let ours = [server.own.issuer.to_string(), server.own.address("/oauth/token")];
        let Some((id, end)) = judged(&claims, client.id.as_str(), &ours, now) else {
            return Ok(false);
        };
        let digest = Digest::of(id.as_bytes());
        Ok(self.inner.store.spend_assertion(&client.id, &digest, end + LEEWAY).await?)
    }
}

/// Whom the proof names. In a signed one that is not proven yet, and only says whose keys to try.
fn named(proof: &ClientProof) -> Option<ClientId> {
    let plain = |id: &str| {
        let fits = (1..=LONGEST_ID).contains(&id.len());
        (fits && id.bytes().all(|byte| byte.is_ascii_graphic())).then(|| ClientId::from(id))
    };
    match proof {
        ClientProof::Secret { id, .. } => plain(id),
        ClientProof::Assertion { id, text } => {
            let claims = Form::read(text.expose_secret())?.claims()?;
            let said = claims.get("sub").and_then(Value::as_str)?;
            // RFC 7521 section 4.2: where both are there they are the same.
            id.as_ref().is_none_or(|id| id == said).then(|| plain(said)).flatten()
        }
    }
}

/// In constant time, and at the same cost whether there is such a client or not.
fn is_secret(client: Option<&ClientRecord>, given: &SecretString, now: Timestamp) -> bool {
    let given = opaque::digest(given.expose_secret()).unwrap_or_else(|| Digest::of(b""));
    let nobody = Digest::of(b"no secret of a client");
    let own = client.and_then(|client| client.secret).unwrap_or(nobody);
    let spare = client.and_then(|client| client.spare_secret).filter(|(_, until)| *until > now);
    let spare = spare.map_or(nobody, |(digest, _)| digest);
    (given == own) | (given == spare)
}

/// RFC 7523 section 3. Gives `jti` and the end.
fn judged(
    claims: &Map<String, Value>,
    client: &str,
    ours: &[String],
    now: Timestamp,
) -> Option<(String, Timestamp)> {
    let is = |name: &str, wanted: &str| claims.get(name).and_then(Value::as_str) == Some(wanted);
    let audience: Vec<&str> = match claims.get("aud")? {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    // For us and nobody else: a proof that another server may show as its own is none.
    let for_us =
        !audience.is_empty() && audience.iter().all(|one| ours.iter().any(|own| own == one));
    let date = |name: &str| match claims.get(name) {
        None => Some(None),
        Some(value) => {
            let secs = value.as_u64().and_then(|secs| i64::try_from(secs).ok())?;
            (secs < 253_402_300_800).then(|| Some(Timestamp::from_secs(secs)))
        }
    };
    let end = date("exp")??;
    let early = |moment: Option<Timestamp>| moment.is_some_and(|from| from > now + LEEWAY);
    let in_time = end + LEEWAY > now
        && end <= now + FARTHEST + LEEWAY
        && !early(date("nbf")?)
        && !early(date("iat")?);
    let id = claims.get("jti")?.as_str().filter(|id| (1..=LONGEST_ID).contains(&id.len()))?;
    (is("iss", client) && is("sub", client) && for_us && in_time).then(|| (id.to_owned(), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn good() -> Value {
        json!({ "iss": "c", "sub": "c", "aud": "https://a", "exp": 1_700_000_060, "jti": "j" })
    }

    fn judge(claims: &Value) -> bool {
        let ours = ["https://a".to_owned(), "https://a/oauth/token".to_owned()];
        judged(claims.as_object().unwrap(), "c", &ours, NOW).is_some()
    }

    #[test]
    fn a_proof_is_the_clients_own_for_us_alone_young_and_named() {
        assert!(judge(&good()));
        for (name, value) in [
            ("iss", json!("d")),
            ("sub", json!("d")),
            ("aud", json!("https://b")),
            ("aud", json!(["https://a", "https://b"])),
            ("aud", json!([])),
            ("aud", json!([1])),
            ("exp", json!(1_699_999_960)),
            ("exp", json!(1_700_003_600)),
            ("exp", json!("1700000060")),
            ("nbf", json!(1_700_000_040)),
            ("iat", json!(1_700_000_040)),
            ("iat", json!(-1)),
            ("jti", json!("")),
            ("jti", json!(1)),
        ] {
            let mut claims = good();
            claims[name] = value.clone();
            assert!(!judge(&claims), "{name} {value}");
        }
        for name in ["iss", "sub", "aud", "exp", "jti"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(name);
            assert!(!judge(&claims), "{name}");
        }
        for audience in [json!("https://a/oauth/token"), json!(["https://a"])] {
            let mut claims = good();
            claims["aud"] = audience;
            assert!(judge(&claims));
        }
    }
}

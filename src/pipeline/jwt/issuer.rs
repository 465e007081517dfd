//! Tokens of another issuer than the contract's own login: how they look, and what verifies them (RFC 7515, 7519, 8725, 9068).

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde_json::Value;

use super::{
    ClaimMap, ClaimPath, Claims, Form, KeySet, VerificationKey,
    claims::{MAX_AHEAD, date, is_id, names_audience},
    confirmation,
    form::ACCESS,
    mapping,
};
use crate::{
    model::{AccountId, AuthMethod, Issuer, MountName, Principal, RealmName, Timestamp, TokenId},
    pipeline::deny::TokenFault,
};

/// Tokens that name no key are tried against so many at most: each costs a signature.
const MAX_NAMELESS: usize = 4;
/// Longest `jti` that is kept.
const MAX_TOKEN_ID: usize = 255;

/// How the tokens of one issuer look at one mount.
#[derive(Clone, Debug)]
pub struct IssuerProfile {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Required `iss`.
    pub issuer: Arc<str>,
    /// Of these one must be in `aud`.
    pub audiences: Vec<Arc<str>>,
    /// Of these one must be `typ`.
    pub types: Vec<Arc<str>>,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Claims that must be there, where a value is given with that value.
    pub required: Vec<(ClaimPath, Option<Value>)>,
    /// What its claims mean here.
    pub claims: ClaimMap,
    /// Whether the mount tells the case of scopes apart.
    pub exact_scopes: bool,
    /// Longest life of a token.
    pub longest: Duration,
    /// What verifies its tokens.
    pub keys: IssuerKeys,
    /// Whether it is asked about tokens that are no JWS, or that no key verifies (RFC 7662).
    pub introspected: bool,
    /// Whether an answer about a token must name one of the audiences; where it names some, one must be ours in any case.
    pub needs_audience: bool,
    /// Who is told to have vouched. Its leeway holds for all dates, and is 60 s at most.
    pub vouches: Arc<Issuer>,
    /// Mount name, written into the principal.
    pub mount: MountName,
    /// Realm name, likewise.
    pub realm: RealmName,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug)]
pub enum IssuerKeys {
    /// Here: they change with the configuration only.
    Fixed(Arc<KeySet>),
    /// They are fetched and kept by the edge's surroundings.
    Fetched,
    /// It has none: it is asked about every token.
    None,
}

/// A token taken apart to see whose it is. Nothing in it is to be believed yet.
#[derive(Clone, Debug)]
pub struct Presented<'t> {
    pub(super) form: Form<'t>,
    pub(super) claims: Claims,
}

impl<'t> Presented<'t> {
    /// `None`: not a compact JWS around claims.
    pub fn read(token: &'t str) -> Option<Self> {
        let form = Form::read(token)?;
        let claims = form.claims()?;
        Some(Self { form, claims })
    }

    /// Whose it says it is: good for choosing who is to judge it, and for nothing else.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }
}

/// Why a token proves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It is no good.
    Fault(TokenFault),
    /// The set in hand does not have its key: a newer one may.
    UnknownKey {
        /// When it says that it was issued.
        issued_at: Option<Timestamp>,
    },
}

impl From<TokenFault> for Unproven {
    fn from(fault: TokenFault) -> Self {
        Unproven::Fault(fault)
    }
}

impl IssuerProfile {
    /// Whether its keys are in hand and no secret, so that whoever has the configuration can judge its tokens.
    pub fn is_open(&self) -> bool {
        let shared = |own: &Algorithm| own.family() == AlgorithmFamily::Hmac;
        match &self.keys {
            IssuerKeys::Fixed(keys) => {
                !keys.keys().is_empty() && !self.algorithms.iter().any(shared)
            }
            // Their own issuer is missing then, which is told apart.
            IssuerKeys::Fetched | IssuerKeys::None => true,
        }
    }

    /// Verifies a token of this issuer by these keys and no others. Says nothing about revocation.
    ///
    /// What can be told without a signature is told first, so that no key is looked for and nobody asked for one on behalf of
    /// a token that would be refused anyhow. What it is bound to ([`Principal::bound`]) is for the caller to have proven.
    pub fn verify_unproven(
        &self,
        token: &Presented<'_>,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Principal, Unproven> {
        let (form, claims) = (&token.form, &token.claims);
        let kind = self.types.iter().find(|kind| form.is_a(kind)).ok_or(TokenFault::Invalid)?;
        if token.issuer() != Some(&self.issuer) || !self.is_for_us(claims) {
            return Err(TokenFault::Invalid.into());
        }
        check_signature(token, keys, || self.principal(claims, now).is_ok())?;
        if !kind.eq_ignore_ascii_case(ACCESS) && is_something_else(claims) {
            return Err(TokenFault::Invalid.into());
        }
        Ok(self.principal(claims, now)?)
    }

    /// Whom verified claims prove.
    pub fn principal(&self, claims: &Claims, now: Timestamp) -> Result<Principal, TokenFault> {
        let leeway = self.vouches.leeway;
        let dated = |name: &str| date(claims, name).ok_or(TokenFault::Invalid);
        let end = dated("exp")?.ok_or(TokenFault::Invalid)?;
        let (start, issued_at) = (dated("nbf")?, dated("iat")?);
        let early = start.is_some_and(|start| now + leeway < start);
        let from_later = issued_at.is_some_and(|issued| now + leeway.max(MAX_AHEAD) < issued);
        let begin = issued_at.unwrap_or(now);
        if early || from_later || (end > begin && end.since(begin) > self.longest) {
            return Err(TokenFault::Invalid);
        }
        let found = self.read(claims, end).ok_or(TokenFault::Invalid)?;
        if now >= end + leeway { Err(TokenFault::Expired) } else { Ok(found) }
    }

    /// Whom a token proves of which the issuer said that it is good, and this besides (RFC 7662 section 2.2). What it is bound
    /// to is for the caller to have proven, as ever.
    pub fn introspected_unproven(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Principal, TokenFault> {
        let text = |name: &str| claims.get(name).map(|value| value.as_str().unwrap_or_default());
        let own = text("iss").is_none_or(|issuer| issuer == &*self.issuer);
        let for_us = if claims.contains_key("aud") || self.needs_audience {
            self.is_for_us(claims)
        } else {
            true
        };
        // The same end point knows refresh tokens, too. `DPoP` is RFC 9449 section 6.2.
        let is_kind =
            |wanted| text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
        let signs = is_kind("dpop");
        let is_access = signs || text("token_type").is_none() || is_kind("bearer");
        if !own || !for_us || !is_access || is_something_else(claims) {
            return Err(TokenFault::Invalid);
        }
        let who = self.principal(claims, now)?;
        // Whoever says that it is bound and not to what cannot mean a bearer token.
        let key = who.bound.and_then(|bound| bound.key);
        if signs && key.is_none() { Err(TokenFault::Invalid) } else { Ok(who) }
    }

    /// Whether a token is to be asked about instead of verified here.
    pub fn is_asked_about(&self, token: &str) -> bool {
        self.introspected
            && match self.keys {
                _ if !looks_signed(token) => true,
                IssuerKeys::None => Presented::read(token)
                    .is_some_and(|token| token.issuer() == Some(&*self.issuer)),
                IssuerKeys::Fixed(_) | IssuerKeys::Fetched => false,
            }
    }

    fn is_for_us(&self, claims: &Claims) -> bool {
        let aud = claims.get("aud");
        self.audiences.iter().any(|own| names_audience(aud, own))
    }

    /// All claims but their relation to the clock. `None`: refused.
    fn read(&self, claims: &Claims, end: Timestamp) -> Option<Principal> {
        // A token that is bound must not pass on its bare signature: see `proof.rs`.
        let bound = confirmation::read(claims)?;
        let met = self.required.iter().all(|(path, wanted)| match (path.find(claims), wanted) {
            (None | Some(Value::Null), _) => false,
            (Some(found), Some(wanted)) => found == wanted,
            (Some(_), None) => true,
        });
        if !met {
            return None;
        }
        let map = &self.claims;
        let subject = map.subject_of(claims)?;
        let token = match claims.get("jti") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if is_id(id, MAX_TOKEN_ID) => {
                Some(TokenId::new(self.vouches.known_as(id)))
            }
            Some(_) => return None,
        };
        Some(Principal {
            subject: AccountId::new(self.vouches.known_as(subject)),
            username: mapping::text(map.username.as_ref(), claims)?,
            email: mapping::text(map.email.as_ref(), claims)?,
            realm: self.realm.clone(),
            mount: self.mount.clone(),
            tenant: mapping::text(map.tenant.as_ref(), claims)?,
            method: AuthMethod::Jwt,
            roles: map.roles_of(claims)?,
            scopes: map.scopes_of(claims, self.exact_scopes)?,
            // A session of theirs is none of ours.
            session: None,
            token,
            key: None,
            agent: None,
            allowed_ips: Vec::new(),
            rate_limit_per_hour: None,
            expires_at: Some(end),
            issuer: Some(Arc::clone(&self.vouches)),
            bound,
        })
    }
}

/// Whether one of these keys has signed. `sound`: whether the token is one that is worth looking for a newer key for.
pub(super) fn check_signature(
    token: &Presented<'_>,
    keys: &KeySet,
    sound: impl Fn() -> bool,
) -> Result<(), Unproven> {
    let form = &token.form;
    let mut candidates = candidates(keys, form).peekable();
    let unknown = Unproven::UnknownKey { issued_at: date(&token.claims, "iat").flatten() };
    if candidates.peek().is_none() {
        let known = |kid: &str| keys.keys().iter().any(|key| *key.kid == *kid);
        // A known key under another algorithm is an attack or a mistake, and no reason to ask anybody.
        let hopeless = form.kid().is_some_and(known) || !sound();
        return Err(if hopeless { TokenFault::Invalid.into() } else { unknown });
    }
    if !candidates.any(|key| form.is_signed_by(key)) {
        // One that names no key may be signed with a newer one.
        let hopeless = form.kid().is_some() || !sound();
        return Err(if hopeless { TokenFault::Invalid.into() } else { unknown });
    }
    Ok(())
}

/// The keys that a token may be signed with.
pub(super) fn candidates<'k>(
    keys: &'k KeySet,
    form: &'k Form<'_>,
) -> impl Iterator<Item = &'k VerificationKey> {
    keys.keys().iter().filter(|key| form.may_name(key)).take(MAX_NAMELESS)
}

/// Whether a text has the outer form of a compact JWS: three parts, of which the first is JSON.
fn looks_signed(token: &str) -> bool {
    token.starts_with("eyJ") && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whether the claims are those of an ID token, a logout token or a refresh token, where `typ` does not tell: such tokens are
/// signed with the same keys (RFC 8725 section 3.12).
fn is_something_else(claims: &Claims) -> bool {
    let says = |name: &str| claims.get(name).and_then(Value::as_str);
    let of_others = ["at_hash", "c_hash", "s_hash", "events"];
    let kinds = ["ID", "Refresh", "Offline", "Logout"];
    of_others.iter().any(|name| claims.contains_key(*name))
        || says("typ").is_some_and(|kind| kinds.contains(&kind))
        || claims
            .get("token_use")
            .is_some_and(|kind| !matches!(kind.as_str(), Some("access" | "access_token")))
}

#[cfg(test)]
mod tests;

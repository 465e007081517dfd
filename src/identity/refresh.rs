//! Refresh: what a presented token is worth, and the trade for a new one (contract rows "Rotation", "Replay").

use serde_json::json;

use super::{
    Actor, EventKind, Granted, Identity, IdentityError, Inner, MountSettings, accounts, audit,
    lockout,
    refresh_tokens::{RefreshPlace, RefreshText},
    settings::RefreshForm,
};
use crate::{
    limit::LimitError,
    model::{
        ClientId, Digest, MountName, SecretString, Timestamp, api_key::hex, secret::ExposeSecret,
    },
    pipeline::quota::{Across, Charge, KeyPart, KeyParts, LimitKey, counted_address},
    store::{AccountStatus, AuditRecord, RefreshRecord, RefreshState, Rotate, Rotation},
};

/// How often a lost race is judged anew. Once is enough: a spent token stays spent.
const TRIES: usize = 3;

/// What a genuine token of this mount is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// It is the family's unspent one: trade it.
    Trade,
    /// Spent a moment ago, successor unspent: the same successor again.
    Repeat,
    /// Reusable by the mount's settings: it stays as it is.
    Reuse,
    /// Expired, ended, or spent with its successor spent too. Nothing happens to the family.
    Nothing,
    /// Spent long ago: somebody has a copy. The family ends.
    Theft,
    /// Its account is disabled.
    Disabled,
}

impl Identity {
    /// Trades a refresh token for new tokens (rotation and grace as the mount's settings say). Rejected tries are counted
    /// where the mount says so: a client that does not take no for an answer meets a limit.
    pub async fn refresh(
        &self,
        mount: &MountName,
        token: &SecretString,
        by: &Actor,
    ) -> Result<Granted, IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        let rejected = |error: &IdentityError| {
            matches!(error, IdentityError::InvalidRefreshToken | IdentityError::Disabled)
        };
        match self.try_refresh(&mount, token, by).await {
            Err(error) if rejected(&error) => {
                Err(self.inner.refresh_rejected(&mount, token, by, error).await?)
            }
            other => other,
        }
    }

    async fn try_refresh(
        &self,
        mount: &MountSettings,
        token: &SecretString,
        by: &Actor,
    ) -> Result<Granted, IdentityError> {
        let renewed = self.renew_login(mount, mount.tokens.refresh_form, None, token, by).await?;
        let Renewed { state, text, ends, now } = renewed;
        let session = (&state.session.id, ends);
        self.granted(mount, accounts::shown(state.account), session, Some(text), now)
    }

    /// What a refresh token of this form is worth, and the trade for the next one. `owner`: the client whose it must be;
    /// `None`: one of the contract's own login.
    pub(super) async fn renew_login(
        &self,
        mount: &MountSettings,
        form: RefreshForm,
        owner: Option<&ClientId>,
        token: &SecretString,
        by: &Actor,
    ) -> Result<Renewed, IdentityError> {
        let text = self.inner.presented(mount, form, token, self.now());
        let text = text.ok_or(IdentityError::InvalidRefreshToken)?;
        let found = self.inner.store.refresh_lookup(&text.id).await?;
        let mut state = found.ok_or(IdentityError::InvalidRefreshToken)?;
        let own = state.session.mount == mount.name
            && state.session.realm == mount.realm
            && state.client.as_ref() == owner;
        if state.token.digest != text.digest || !own {
            return Err(IdentityError::InvalidRefreshToken);
        }
        for _ in 0..TRIES {
            let now = self.now();
            let told = told(EventKind::TokenRefresh, &state, by, now);
            match worth(mount, &state, now) {
                Worth::Disabled => return Err(IdentityError::Disabled),
                Worth::Nothing => return Err(IdentityError::InvalidRefreshToken),
                Worth::Theft => return Err(self.end_stolen(state, by, now).await?),
                Worth::Reuse => return self.again(state, text.text, told, now).await,
                Worth::Repeat => {
                    let next = self.next_text(mount, form, &state, now)?.text;
                    return self.again(state, next, told, now).await;
                }
                Worth::Trade => {}
            }
            match self.trade(mount, form, state, told, now).await? {
                Traded::Won(renewed) => return Ok(*renewed),
                Traded::Lost(now_so) => state = *now_so,
            }
        }
        Err(IdentityError::InvalidRefreshToken)
    }

    async fn trade(
        &self,
        mount: &MountSettings,
        form: RefreshForm,
        state: RefreshState,
        told: AuditRecord,
        now: Timestamp,
    ) -> Result<Traded, IdentityError> {
        let text = self.next_text(mount, form, &state, now)?;
        let generation = state.token.generation;
        let rotate = Rotate {
            token: state.token.id.clone(),
            family: state.family.id.clone(),
            generation,
            successor: RefreshRecord {
                id: text.id,
                family: state.family.id.clone(),
                generation: generation.saturating_add(1),
                digest: text.digest,
                issued_at: now,
                expires_at: state.family.expires_at,
                spent_at: None,
            },
            // The end of a session is absolute: no chain of refreshes moves it (requirement 31).
            expires_at: state.family.expires_at,
            now,
        };
        match self.inner.store.rotate(&rotate, &[told]).await? {
            Rotation::Won => {
                let ends = state.family.expires_at;
                Ok(Traded::Won(Box::new(Renewed { state, text: text.text, ends, now })))
            }
            Rotation::Lost(now_so) => {
                Ok(Traded::Lost(now_so.ok_or(IdentityError::InvalidRefreshToken)?))
            }
        }
    }

    /// The refresh token that the client has or should have.
    async fn again(
        &self,
        state: RefreshState,
        text: SecretString,
        told: AuditRecord,
        now: Timestamp,
    ) -> Result<Renewed, IdentityError> {
        let told = AuditRecord { details: json!({ "repeated": true }), ..told };
        if !self.inner.store.touch_session(&state.session.id, now, &[told]).await? {
            return Err(IdentityError::InvalidRefreshToken);
        }
        let ends = state.session.expires_at;
        Ok(Renewed { state, text, ends, now })
    }

    async fn end_stolen(
        &self,
        state: RefreshState,
        by: &Actor,
        now: Timestamp,
    ) -> Result<IdentityError, IdentityError> {
        let told = told(EventKind::RefreshReuse, &state, by, now);
        tracing::warn!(event = "refresh_reuse", session = %state.session.id);
        let (inner, session) = (self.inner.clone(), state.session.id);
        self.to_the_end(async move { inner.end(Some(session), None, now, told).await }).await?;
        Ok(IdentityError::InvalidRefreshToken)
    }

    fn next_text(
        &self,
        mount: &MountSettings,
        form: RefreshForm,
        state: &RefreshState,
        now: Timestamp,
    ) -> Result<RefreshText, IdentityError> {
        let account = accounts::shown(state.account.clone());
        let place = RefreshPlace {
            family: &state.family.id,
            generation: state.token.generation.saturating_add(1),
            account: &account,
            session: &state.session.id,
            expires_at: state.family.expires_at,
        };
        self.inner.refresh_text(mount, form, &place, now)?.ok_or(IdentityError::InvalidRefreshToken)
    }
}

impl Inner {
    /// Counts a rejected try against its token and its address, and gives the answer to it.
    async fn refresh_rejected(
        &self,
        mount: &MountSettings,
        token: &SecretString,
        by: &Actor,
        rejected: IdentityError,
    ) -> Result<IdentityError, IdentityError> {
        let windows = &mount.tokens.refresh_rejections;
        let name = KeyPart::Text(mount.name.as_str());
        let digest = hex(Digest::of(token.expose_secret().as_bytes()).as_bytes());
        let of_token = LimitKey {
            limit: "refresh-rejected-token",
            parts: KeyParts::from_iter([name, KeyPart::Text(&digest)]),
        };
        let of_address = by.address().map(|address| LimitKey {
            limit: "refresh-rejected-address",
            parts: KeyParts::from_iter([name, KeyPart::Client(counted_address(address))]),
        });
        let mut answer = rejected;
        // One by one: a window already full must not keep the other from counting.
        for key in std::iter::once(of_token).chain(of_address).filter(|_| !windows.is_empty()) {
            match self.limiter.check(&[Charge { key, windows, across: Across::default() }]).await {
                Ok(_) => {}
                Err(LimitError::Limited(toll)) => answer = IdentityError::Throttled(toll),
                Err(error) => return Err(lockout::refusal(error)),
            }
        }
        Ok(answer)
    }
}

/// A refresh token that was good.
pub(super) struct Renewed {
    /// What is known of it.
    pub(super) state: RefreshState,
    /// The one to use next.
    pub(super) text: SecretString,
    /// End of its session.
    pub(super) ends: Timestamp,
    /// When it was judged.
    pub(super) now: Timestamp,
}

enum Traded {
    Won(Box<Renewed>),
    Lost(Box<RefreshState>),
}

fn worth(mount: &MountSettings, state: &RefreshState, now: Timestamp) -> Worth {
    let RefreshState { token, family, session, account, .. } = state;
    let end = token.expires_at.min(family.expires_at).min(session.expires_at);
    if end <= now || account.status == AccountStatus::Deleted {
        return Worth::Nothing;
    }
    // Before the ended session: disabling ended it, and the client should hear which of the two it was.
    if !account.enabled() {
        return Worth::Disabled;
    }
    if family.ended_at.is_some() || session.ended_at.is_some() {
        return Worth::Nothing;
    }
    if family.reusable {
        return Worth::Reuse;
    }
    let Some(spent_at) = token.spent_at else {
        return if family.generation == token.generation { Worth::Trade } else { Worth::Nothing };
    };
    if now.since(spent_at) >= mount.tokens.refresh_grace {
        return Worth::Theft;
    }
    let successor_unspent = family.generation == token.generation.saturating_add(1);
    if successor_unspent { Worth::Repeat } else { Worth::Nothing }
}

fn told(kind: EventKind, state: &RefreshState, by: &Actor, now: Timestamp) -> AuditRecord {
    AuditRecord {
        realm: Some(state.session.realm.clone()),
        mount: Some(state.session.mount.clone()),
        account: Some(state.account.id.clone()),
        details: json!({ "session": state.session.id.as_str() }),
        ..audit::event(kind, by, now)
    }
}

//! What a login opens, however it was proven: session, family, first refresh token.

use serde_json::Value;

use super::{
    Actor, IdentityError, Inner, MountSettings, accounts,
    refresh_tokens::{RefreshPlace, RefreshText},
};
use crate::{
    model::Timestamp,
    store::{AccountRecord, FamilyRecord, NewSession, RefreshRecord, SessionRecord},
};

/// A session about to be opened.
pub(super) struct Opening<'a> {
    /// Where.
    pub(super) mount: &'a MountSettings,
    /// Whose.
    pub(super) account: &'a AccountRecord,
    /// Device facts as the client sent them.
    pub(super) device: Option<Value>,
    /// Whether it may last longer, where the mount knows that.
    pub(super) remember: bool,
    /// Who asks.
    pub(super) by: &'a Actor,
}

impl Inner {
    /// The records of a new session, and the refresh token as the client gets it.
    pub(super) fn opened(
        &self,
        opening: &Opening<'_>,
        now: Timestamp,
    ) -> Result<(NewSession, Option<RefreshText>), IdentityError> {
        let Opening { mount, account, by, .. } = *opening;
        let expires_at = now + mount.tokens.session_lifetime(opening.remember);
        let session = SessionRecord {
            id: self.uuid()?.into(),
            secret: None,
            realm: mount.realm.clone(),
            mount: mount.name.clone(),
            account: account.id.clone(),
            name: None,
            created_at: now,
            last_seen_at: now,
            expires_at,
            ended_at: None,
            ip: by.address(),
            user_agent: by.client.as_ref().and_then(|facts| facts.user_agent.clone()),
            device: opening.device.clone(),
        };
        let family = FamilyRecord {
            id: self.uuid()?,
            session: session.id.clone(),
            reusable: !mount.tokens.refresh_rotates,
            generation: 0,
            created_at: now,
            expires_at,
            ended_at: None,
        };
        let shown = accounts::shown(account.clone());
        let place = RefreshPlace {
            family: &family.id,
            generation: 0,
            account: &shown,
            session: &session.id,
            expires_at,
        };
        let text = self.refresh_text(mount, mount.tokens.refresh_form, &place, now)?;
        let token = text.as_ref().map(|text| RefreshRecord {
            id: text.id.clone(),
            family: family.id.clone(),
            generation: 0,
            digest: text.digest,
            issued_at: now,
            expires_at,
            spent_at: None,
        });
        // It is opened with this use, or not at all.
        self.touches.learn(&session.id, now);
        let new = NewSession {
            session,
            family: token.map(|token| (family, token)),
            account_version: account.version,
            clear_failures: Vec::new(),
            factor: None,
        };
        Ok((new, text))
    }
}

//! Browser login through an OpenID provider (OpenID Connect Core 1.0, RFC 9700, RFC 9207): out to the provider and back, the
//! session that it opens here, and its end, here or there.
//!
//! ```text
//! flow      what a login remembers while the browser is away: sealed, in the browser's own cookie
//! login     begin -> (browser at the provider) -> finish: account, session
//! sessions  what the edge is told of a session
//! logout    by the person here; by the provider, when the person has logged out there
//! links     which people of which providers an account is
//! ```
//!
//! A person is joined to an account by `iss` and `sub`. An address joins only where the operator allows it and both sides have
//! proven it, and only once.

mod fault;
mod flow;
mod links;
mod login;
mod logout;
mod sessions;
mod settings;

pub use fault::OidcFault;
pub use links::Link;
pub use login::{OidcCallback, OidcOpened, OidcStart};
pub use settings::OidcSettings;

use std::sync::Arc;

use super::{Identity, IdentityError, MountSettings};
use crate::{
    issuer::{OpenId, Trouble},
    model::MountName,
};

impl Identity {
    /// Takes the providers through which people log in; those of before are forgotten.
    pub fn set_openid_providers(&self, providers: &[Arc<OpenId>]) {
        self.inner.openid.store(Arc::new(providers.to_vec()));
    }

    /// How browsers log in at this mount; [`IdentityError::NotFound`] where they do not.
    pub fn oidc(&self, mount: &MountName) -> Result<Arc<OidcSettings>, IdentityError> {
        Ok(self.oidc_of(mount)?.1)
    }

    fn oidc_of(
        &self,
        mount: &MountName,
    ) -> Result<(Arc<MountSettings>, Arc<OidcSettings>), IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        let oidc = mount.oidc.clone().ok_or(IdentityError::NotFound)?;
        Ok((mount, oidc))
    }

    /// Who is asked for this mount. A reload may have taken it away a moment ago.
    fn openid(&self, oidc: &OidcSettings) -> Result<Arc<OpenId>, IdentityError> {
        let all = self.inner.openid.load();
        let found = all.iter().find(|own| *own.name() == oidc.provider);
        found.cloned().ok_or(IdentityError::Oidc(OidcFault::Away))
    }
}

/// What the trouble with a provider means to the browser. The operator hears the step and the kind; contents and addresses may
/// hold secrets.
fn told(oidc: &OidcSettings, step: &'static str, trouble: Trouble) -> IdentityError {
    let (fault, why) = match trouble {
        Trouble::Away(why) => (OidcFault::Away, why),
        Trouble::Wrong(why) => (OidcFault::Provider, why),
        Trouble::Refused => (OidcFault::Rejected, "code_refused"),
    };
    tracing::warn!(event = "oidc_provider_failed", login = %oidc.provider, step, why);
    IdentityError::Oidc(fault)
}

#[cfg(test)]
mod tests;

//! Somebody who watches a request on its way through admission: nobody where one is served, `explain` where one is asked
//! about.
//!
//! There is one walk for both (`edge/admit.rs`), so an explanation cannot differ from what happens. A witness learns which
//! stage begins and what that stage looked at; it changes nothing, with one exception that only questions use: it may
//! name a caller to go on with in the place of a proven one. The one for served requests is `()`, of which nothing is left
//! when compiled.

use std::sync::Arc;

use crate::{
    model::{Confirmation, Principal},
    pipeline::{Charge, Credential, HeaderPatch, Mount, RequestView, Toll, route::Found},
};

/// The stages of admission, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    View,
    Route,
    EarlyLimits,
    Credential,
    Evidence,
    Authentication,
    Proof,
    Authorization,
    LateLimits,
    Patch,
}

impl Stage {
    /// Its name in explanations.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Stage::View => "view",
            Stage::Route => "route",
            Stage::EarlyLimits => "early_limits",
            Stage::Credential => "credential",
            Stage::Evidence => "evidence",
            Stage::Authentication => "authentication",
            Stage::Proof => "proof",
            Stage::Authorization => "authorization",
            Stage::LateLimits => "late_limits",
            Stage::Patch => "patch",
        }
    }
}

/// What a stage looked at.
pub(super) enum Seen<'a, 'c> {
    View(&'a RequestView<'a>),
    Route(&'a Found<'a>),
    /// Charged, or refused: then the refusal says which.
    Charges(&'a [Charge<'c>], Option<&'a Toll>),
    /// `None`: the route reads none.
    Credential(Option<&'a Credential<'a>>),
    /// Where what is known of the credential came from.
    Evidence(&'static str),
    /// What was proven to be owned beside the token.
    Proof(Option<&'a Confirmation>),
    Principal(Option<&'a Principal>),
    Patch(&'a HeaderPatch),
}

/// See above. Every method does nothing unless it says something else.
pub(super) trait Witness: Send {
    /// Whether the request is served, so that what it uses up is gone.
    const SERVES: bool = true;

    /// A stage begins: the ones before it have let the request pass.
    #[inline]
    fn enters(&mut self, _: Stage) {}

    /// The stage looked at this.
    #[inline]
    fn sees(&mut self, _: Seen<'_, '_>) {}

    /// Who is taken for the caller at this mount, whatever the request carries.
    #[inline]
    fn assumed(&self, _: &Mount) -> Option<Arc<Principal>> {
        None
    }
}

/// Nobody watches.
impl Witness for () {}

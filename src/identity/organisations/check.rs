//! The questions: may this caller do that, under these circumstances?

use crate::{
    identity::{Identity, IdentityError},
    model::Principal,
    pipeline::grants::{Question, scope_reaches},
};

impl Identity {
    /// Whether the caller may. A login asks what its account was granted; an API key asks its own scopes alone, which
    /// have no conditions. A caller that belongs to no organisation may nothing.
    pub async fn may(
        &self,
        caller: &Principal,
        question: &Question<'_>,
    ) -> Result<bool, IdentityError> {
        if caller.key.is_some() {
            let mut scopes = caller.scopes.iter().flat_map(|scopes| scopes.iter());
            return Ok(scopes.any(|scope| scope_reaches(scope, question.resource, question.action)));
        }
        let rights = self.rights(&caller.subject).await?;
        Ok(rights.is_some_and(|rights| rights.permit(question)))
    }
}

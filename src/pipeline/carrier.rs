//! Where a credential may sit, and taking it out unproven.

use crate::model::api_key::PresentedKey;

/// A credential as found: syntactically one of ours, proven in nothing.
#[derive(Clone, Debug)]
pub enum Credential<'a> {
    /// The text behind `Authorization: Bearer`.
    Jwt(&'a str),
    /// A well-formed `X-API-Key` whose checksum fits.
    ApiKey(PresentedKey),
}

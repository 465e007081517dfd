//! One field that does not fit, in the shape that validation answers of the original services have.

use serde::Serialize;

use crate::identity::FieldError;

/// One field that does not fit. Never repeats the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Where: `["body", "username"]`, `["query", "page"]`.
    pub loc: Vec<String>,
    /// One sentence.
    pub msg: String,
    /// Stable kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// In contracts that have the member: always null, because a value may be a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<()>,
}

impl Detail {
    /// About one field of the body; an empty name means the body itself.
    pub fn new(field: &str, kind: &str, msg: impl Into<String>) -> Self {
        Self::at(&["body".to_owned()], field, kind, msg)
    }

    /// About one field of the object that stands at `place`; an empty name means the object itself.
    pub fn at(place: &[String], field: &str, kind: &str, msg: impl Into<String>) -> Self {
        let mut loc = place.to_vec();
        if !field.is_empty() {
            loc.push(field.to_owned());
        }
        Self { loc, msg: msg.into(), kind: kind.to_owned(), input: None }
    }

    /// With the member `input`.
    #[must_use]
    pub fn with_input(self) -> Self {
        Self { input: Some(()), ..self }
    }

    /// The name of the field alone: the last place, empty for the body itself.
    pub fn field(&self) -> &str {
        match self.loc.as_slice() {
            [_, .., last] => last,
            _ => "",
        }
    }
}

impl From<&FieldError> for Detail {
    fn from(fault: &FieldError) -> Self {
        Self::new(fault.field, fault.kind, fault.message.clone())
    }
}

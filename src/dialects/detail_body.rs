//! The error body that several contracts share: `{"detail": …}`, a sentence, a list of fields, or what the contract adds.

use serde_json::{Value, json};

use super::refusal::{ErrorShape, Refusal, to_json};

/// Writes it: what the contract adds stands before the fields, and these before the sentence.
pub fn detail_body<S: ErrorShape>(refusal: &Refusal<S>) -> Vec<u8> {
    let detail: Value = match (&refusal.extra, &refusal.details) {
        (Some(extra), _) => (**extra).clone(),
        (None, Some(fields)) => {
            // These contracts have the member `input`.
            let fields: Vec<_> = fields.iter().cloned().map(|field| field.with_input()).collect();
            json!(fields)
        }
        (None, None) => (*refusal.text).into(),
    };
    to_json(&json!({ "detail": detail }))
}

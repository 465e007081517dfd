//! Storage: every SQL statement of the product, and nothing else. Acknowledged means durable.

/// The open store; cheap to clone.
#[derive(Clone)]
pub struct Store {}

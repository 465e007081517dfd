//! Which part of the gateway a process is.

/// The planes of a gateway, together or apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Both in one process.
    #[default]
    All,
    /// Takes what clients send, and asks identity nodes.
    Edge,
    /// Owns accounts, sessions and keys, and answers edge nodes.
    Identity,
}

impl Plane {
    /// Every plane.
    pub const ALL: [Plane; 3] = [Plane::All, Plane::Edge, Plane::Identity];

    /// As the operator writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Plane::All => "all",
            Plane::Edge => "edge",
            Plane::Identity => "identity",
        }
    }

    /// Reads what the operator wrote.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plane| plane.as_str() == word)
    }
}

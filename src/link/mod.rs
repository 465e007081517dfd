//! The link between the planes where they are apart: questions of edge nodes, answered by identity nodes over mutual TLS.

mod settings;

pub use settings::{Address, Files, Settings};

//! TOML to a checked, compiled whole.

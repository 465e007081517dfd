//! Tests of the facade over a real store in a temporary folder.

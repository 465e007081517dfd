//! Arguments to run to exit code, nothing else.
#![forbid(unsafe_code)]

fn main() {}

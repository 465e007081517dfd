//! Arguments to run to exit code, nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

// A request takes and gives back some forty small pieces of memory; this allocator makes that cheaper than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::main()
}

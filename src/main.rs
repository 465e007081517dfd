//! Arguments to run to exit code, nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

// A request takes and gives back some forty small pieces of memory; this allocator makes that cheaper than the system's,
// and gives large ones, such as those of a password hash, back to the system at once.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    portcullis::cli::main()
}

//! The `hydrant` binary: arguments go to [`hydrant::cli`].

use std::process::ExitCode;

/// Many threads allocate request-sized buffers and free them elsewhere, which mimalloc is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hydrant::cli::main()
}

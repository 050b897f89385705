//! The program `tidemark`.

use std::process::ExitCode;

/// A first sync allocates and frees millions of small texts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The only provider in the tree; without one reqwest panics at its first request.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider");
    }
    tidemark::run(std::env::args_os()).into()
}

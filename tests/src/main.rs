//! The program as it ships, for the end-to-end tests to start.

use std::process::ExitCode;

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider");
    }
    tidemark::run(std::env::args_os()).into()
}

//! The program `tidemark`.

use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

/// A first sync allocates and frees millions of small texts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator reads its settings before `main`, so a worker begins once more with them, in the
/// same process. Memory that is no longer needed goes back to the system at once: a fifth less of
/// it at the peak of a large first sync, which is also done sooner.
fn begin_with_allocator_setting() {
    const SETTING: &str = "MIMALLOC_PURGE_DELAY";
    let is_worker = env::args_os().skip(1).any(|arg| arg == "worker");
    if !is_worker || env::var_os(SETTING).is_some() {
        return;
    }
    if let Ok(program) = env::current_exe() {
        // It comes back only if it failed, and then the worker runs as it was started.
        drop(Command::new(program).args(env::args_os().skip(1)).env(SETTING, "0").exec());
    }
}

fn main() -> ExitCode {
    begin_with_allocator_setting();
    // The only provider in the tree; without one reqwest panics at its first request.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider");
    }
    tidemark::run(env::args_os()).into()
}

//! The log of the verbs that stay: text on stderr, by `RUST_LOG`.

use anstream::ColorChoice;
use tracing_subscriber::EnvFilter;

/// Sends the log to stderr.
pub(crate) fn to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = anstream::AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    // A subscriber of whoever called first stays.
    drop(subscriber.try_init());
}

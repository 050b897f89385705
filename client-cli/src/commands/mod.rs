//! The verbs, a file each: what can be typed after it, and what it does.

pub(crate) mod apply;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod completions;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod exceptions;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod new;
pub(crate) mod pause;
pub(crate) mod preview;
pub(crate) mod remove;
pub(crate) mod resume;
pub(crate) mod runs;
pub(crate) mod setup;
#[cfg(feature = "demo")]
pub(crate) mod simulator;
pub(crate) mod start;
pub(crate) mod sweep;
pub(crate) mod verify;
pub(crate) mod watch;
pub(crate) mod worker;

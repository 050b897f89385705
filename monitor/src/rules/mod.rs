//! When somebody is told what. No I/O, no clock, no async.
//!
//! One [`Watch`] is given what was [seen](Seen) in a pass, and returns the [`Notice`]s that are due.
//! What has to survive a restart is in [`Memory`]; several watches may share one.
//!
//! Visibility is no input: it only proposes whom to look at. What decides is in [`Facts`].

mod activity;
mod beat;
mod cause;
mod due;
mod episode;
mod facts;
mod finding;
mod group;
mod memory;
mod mute;
mod notice;
mod opening;
mod outage;
mod pause;
mod settings;
mod sign;
mod standing;
#[cfg(test)]
mod tests;
mod watch;

pub use self::activity::Activity;
pub use self::cause::Cause;
pub use self::due::Due;
pub use self::episode::{Episode, Kind};
pub use self::facts::{
    Commit, Edit, Ended, Facts, OpenRun, Paused, RunState, ScheduleState, Terms,
};
pub use self::finding::troubles;
pub use self::group::Group;
pub use self::memory::Memory;
pub use self::mute::{Mute, Muted, muted};
pub use self::notice::{Ending, Notice, Phase, Subject};
pub use self::outage::{Outage, Part};
pub use self::settings::Settings;
pub use self::watch::{Look, Passed, Seen, Watch};

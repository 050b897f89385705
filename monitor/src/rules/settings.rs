//! The times and counts that the rules go by.

use jiff::SignedDuration;

/// What a team may want otherwise. The defaults are those of the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How far the clocks of a source, the server and the watch may be apart.
    pub skew: SignedDuration,
    /// How long a first sync, a resume, or a full read that an edit forced may take while it
    /// progresses.
    pub first_sync_within: SignedDuration,
    /// Without a durable page or batch for so long, a run does not progress.
    pub stalled_after: SignedDuration,
    /// The least time after an outage in which nobody counts as late.
    pub catch_up: SignedDuration,
    /// How late a tick may be before the schedule counts as not firing.
    pub tick_slack: SignedDuration,
    /// How long a schedule has to look wrong: whoever applies or removes a connection changes
    /// its definition and its schedule one after the other.
    pub settled_after: SignedDuration,
    /// A pause that is older was forgotten.
    pub paused_too_long: SignedDuration,
    /// The pace of reminders.
    pub remind_every: SignedDuration,
    /// A group that grew is told again after so long, or once it has twice the members.
    pub regroup_every: SignedDuration,
    /// So many connections with one cause are told as one.
    pub group_from: usize,
    /// Without a sign of life of Temporal or of a worker for so long, nobody is newly called late.
    pub doubted_after: SignedDuration,
    /// Without one for so long, it counts as an outage.
    pub silent_after: SignedDuration,
    /// A watch that passed nothing for so long was away.
    pub away_after: SignedDuration,
    /// A notice that is not known to be sent after so long is sent again.
    pub resend_after: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            skew: SignedDuration::from_mins(2),
            first_sync_within: SignedDuration::from_hours(24),
            stalled_after: SignedDuration::from_mins(30),
            catch_up: SignedDuration::from_mins(30),
            tick_slack: SignedDuration::from_mins(10),
            settled_after: SignedDuration::from_mins(5),
            paused_too_long: SignedDuration::from_hours(7 * 24),
            remind_every: SignedDuration::from_hours(24),
            regroup_every: SignedDuration::from_hours(1),
            group_from: 5,
            doubted_after: SignedDuration::from_secs(90),
            silent_after: SignedDuration::from_mins(4),
            away_after: SignedDuration::from_mins(5),
            resend_after: SignedDuration::from_mins(1),
        }
    }
}

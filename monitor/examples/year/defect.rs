//! Wrong rules, to see that the truth notices.

use clap::ValueEnum;
use jiff::SignedDuration;
use tidemark_monitor::rules::Settings;

/// What is wrong with the watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Defect {
    #[default]
    None,
    /// It takes what visibility shows for the watermark.
    BelievesVisibility,
    /// It never looks at what visibility does not show.
    NoAudit,
    /// A first sync has no more time than any other run.
    NoFirstSync,
    /// It trusts every clock.
    NoSkew,
    /// It takes no silence for an outage, and does not ask what went on while it was away.
    NoOutages,
    /// It begins anew after each restart.
    ForgetsAtRestart,
}

impl Defect {
    pub(crate) fn settings(self) -> Settings {
        let mut settings = Settings::default();
        match self {
            Self::NoFirstSync => settings.first_sync_within = SignedDuration::ZERO,
            Self::NoSkew => settings.skew = SignedDuration::ZERO,
            Self::NoOutages => settings.silent_after = SignedDuration::from_hours(24 * 365),
            Self::None | Self::BelievesVisibility | Self::NoAudit | Self::ForgetsAtRestart => {}
        }
        settings
    }
}

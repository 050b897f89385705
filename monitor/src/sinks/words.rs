//! What all sinks say in the same way, and how text from elsewhere is made harmless.

use crate::rules::{Kind, Notice, Part, Phase, Subject};

/// How much it matters. Stays the same from the beginning of an episode to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub(super) fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Group { kind: Kind::Late, .. } => Self::Critical,
            Subject::Connection { kind: Kind::Paused, .. }
            | Subject::Group { kind: Kind::Paused, .. }
            | Subject::Test { .. } => Self::Info,
            Subject::Connection { .. } | Subject::Group { .. } | Subject::Sink { .. } => {
                Self::Warning
            }
            Subject::Outage(outage) => match outage.part {
                Part::Temporal | Part::Workers | Part::Unseen => Self::Critical,
                Part::Watch => Self::Warning,
            },
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Opened => "opened",
        Phase::Reminder => "reminder",
        Phase::Closed => "closed",
    }
}

/// The kind of trouble, and what has it: words and ids of our own, nothing from elsewhere.
pub(super) fn title(subject: &Subject) -> (&'static str, String) {
    match subject {
        Subject::Connection { connection, kind, .. } => (kind.as_str(), connection.to_string()),
        Subject::Group { kind, counts, .. } => {
            let count: usize = counts.values().sum();
            let who = match count {
                0 => "all connections".to_owned(),
                1 => "1 connection".to_owned(),
                count => format!("{count} connections"),
            };
            (kind.as_str(), who)
        }
        Subject::Outage(outage) => ("outage", outage.part.to_string()),
        Subject::Sink { name, .. } => ("sink", name.clone()),
        Subject::Test { sink } => ("test", sink.clone()),
    }
}

/// The next command; nothing has to be done about what is over.
pub(super) fn next(notice: &Notice) -> Option<String> {
    if notice.phase == Phase::Closed {
        return None;
    }
    match &notice.subject {
        Subject::Connection { connection, cause, .. } => Some(cause.hint(connection)),
        Subject::Group { .. } => Some("tidemark lag --by cause".to_owned()),
        Subject::Outage(outage) => match outage.part {
            Part::Workers => Some("start workers: tidemark worker".to_owned()),
            Part::Temporal | Part::Watch | Part::Unseen => Some("tidemark lag".to_owned()),
        },
        Subject::Sink { .. } => Some("tidemark monitor test-alert".to_owned()),
        Subject::Test { .. } => None,
    }
}

/// One line that shows what it is: control characters and those that turn the direction of
/// writing or take no room are written as escapes. At most `limit` characters.
pub(crate) fn visible(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    let mut count = 0;
    for c in text.chars() {
        let piece = if c.is_control() || is_deceptive(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        };
        count += piece.chars().count();
        if count > limit {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

/// Marks of direction, invisible characters, and separators of lines.
fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(
            visible("a\nb\r\t\u{1b}[31mé\u{202e}x\u{200b}", 99),
            r"a\nb\r\t\u{1b}[31mé\u{202e}x\u{200b}"
        );
        assert_eq!(visible("\"quoted\" 'too' \\", 99), "\"quoted\" 'too' \\");
    }

    #[test]
    fn what_is_too_long_is_cut_between_its_pieces() {
        assert_eq!(visible("äbc", 3), "äbc");
        assert_eq!(visible("äbcd", 3), "äbc…");
        assert_eq!(visible("ab\ncd", 3), "ab…");
    }
}

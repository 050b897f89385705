//! Several pauses of one schedule, each undone by its own name.
//!
//! Temporal knows one flag and one note. The note holds a line for each pause that is in force:
//!
//! ```text
//! the provider moves house [tag: move, by: ops@example, since: 2026-11-21T10:00:00Z]
//! ```
//!
//! It reads well in the Web UI, and a note that somebody wrote there is a pause without a tag. A
//! schedule runs again when its last pause is undone.

use std::fmt;

use jiff::Timestamp;

use crate::ScheduleError;

/// One reason for which a schedule is paused, or, in the note of a running one, resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    pub reason: String,
    /// What `resume --paused-by` names.
    pub tag: Option<String>,
    /// Who paused.
    pub by: Option<String>,
    pub since: Option<Timestamp>,
}

impl Pause {
    /// A pause for `reason`, which becomes one line.
    #[must_use]
    pub fn new(reason: &str) -> Self {
        Self { reason: reason.split_whitespace().collect::<Vec<_>>().join(" "), ..Self::default() }
    }

    /// Whether it can be written into a note and read back.
    ///
    /// # Errors
    /// The character of its tag or author that cannot.
    pub fn check(&self) -> Result<(), ScheduleError> {
        for (part, text) in [("tag", &self.tag), ("author", &self.by)] {
            let broken = |c: &char| matches!(c, ',' | '[' | ']') || c.is_control();
            if let Some(found) = text.iter().flat_map(|text| text.chars()).find(broken) {
                return Err(ScheduleError::Note { part, found });
            }
        }
        Ok(())
    }

    fn parse(line: &str) -> Self {
        let bare = || Self { reason: line.to_owned(), ..Self::default() };
        let Some((reason, attributes)) =
            line.strip_suffix(']').and_then(|line| line.rsplit_once('['))
        else {
            return bare();
        };
        let mut pause = Self { reason: reason.trim_end().to_owned(), ..Self::default() };
        for attribute in attributes.split(", ") {
            match attribute.split_once(": ") {
                Some(("tag", tag)) => pause.tag = Some(tag.to_owned()),
                Some(("by", by)) => pause.by = Some(by.to_owned()),
                Some(("since", since)) => match since.parse() {
                    Ok(since) => pause.since = Some(since),
                    Err(_) => return bare(),
                },
                // Brackets that a person wrote.
                _ => return bare(),
            }
        }
        pause
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes: Vec<String> = [
            self.tag.as_ref().map(|tag| format!("tag: {tag}")),
            self.by.as_ref().map(|by| format!("by: {by}")),
            self.since.map(|since| format!("since: {since}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        match (self.reason.as_str(), attributes.as_slice()) {
            (reason, []) => f.write_str(reason),
            ("", attributes) => write!(f, "[{}]", attributes.join(", ")),
            (reason, attributes) => write!(f, "{reason} [{}]", attributes.join(", ")),
        }
    }
}

/// The pauses in force, out of a paused schedule's note. A paused schedule has at least one.
pub(crate) fn parse(note: &str) -> Vec<Pause> {
    let pauses: Vec<Pause> =
        note.lines().map(str::trim).filter(|line| !line.is_empty()).map(Pause::parse).collect();
    if pauses.is_empty() { vec![Pause::default()] } else { pauses }
}

/// The note that says so. Never empty: an empty note would not count as a pause.
pub(crate) fn note(pauses: &[Pause]) -> String {
    let lines: Vec<String> =
        pauses.iter().map(ToString::to_string).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "no reason given".to_owned() } else { lines.join("\n") }
}

/// The pauses with one more. A pause of the same tag takes the place of the older one.
pub(crate) fn add(mut pauses: Vec<Pause>, pause: Pause) -> Vec<Pause> {
    let same = |other: &Pause| match &pause.tag {
        Some(_) => other.tag == pause.tag,
        None => other.tag.is_none() && other.reason == pause.reason,
    };
    pauses.retain(|other| !same(other));
    pauses.push(pause);
    pauses
}

/// Which pauses are undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Every one: the schedule runs again.
    All,
    /// The one of this tag; others stay in force.
    Tag(String),
}

impl Undo {
    /// What is left of the pauses.
    pub(crate) fn apply(&self, pauses: Vec<Pause>) -> Vec<Pause> {
        match self {
            Self::All => Vec::new(),
            Self::Tag(tag) => {
                pauses.into_iter().filter(|pause| pause.tag.as_ref() != Some(tag)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tagged(reason: &str, tag: &str) -> Pause {
        Pause { tag: Some(tag.to_owned()), ..Pause::new(reason) }
    }

    #[test]
    fn a_note_reads_well_and_comes_back() {
        let pauses = vec![
            Pause {
                by: Some("ops".to_owned()),
                since: Some("2026-11-21T10:00:00Z".parse().unwrap()),
                ..tagged("the provider moves house", "move")
            },
            Pause::new("key is being changed"),
        ];
        let note = note(&pauses);
        assert_eq!(
            note,
            "the provider moves house [tag: move, by: ops, since: 2026-11-21T10:00:00Z]\n\
             key is being changed"
        );
        assert_eq!(parse(&note), pauses);
    }

    #[test]
    fn a_note_from_the_web_ui_is_a_pause_without_a_tag() {
        for text in ["Paused via the UI", "look at [ticket 7]", "x [since: yesterday]"] {
            assert_eq!(parse(text), [Pause { reason: text.to_owned(), ..Pause::default() }]);
        }
        assert_eq!(parse(""), [Pause::default()]);
    }

    #[test]
    fn undoing_one_pause_leaves_the_others() {
        let both = add(vec![tagged("a", "one")], tagged("b", "two"));
        let left = Undo::Tag("one".to_owned()).apply(both.clone());
        assert_eq!(left, [tagged("b", "two")]);
        assert_eq!(Undo::Tag("three".to_owned()).apply(both.clone()), both);
        assert!(Undo::All.apply(both).is_empty());
    }

    #[test]
    fn a_pause_repeated_is_one_pause() {
        let once = add(Vec::new(), tagged("first", "one"));
        assert_eq!(add(once, tagged("second", "one")), [tagged("second", "one")]);
    }

    #[test]
    fn a_tag_that_would_not_come_back_is_refused() {
        assert!(tagged("x", "a, b").check().is_err());
        assert!(tagged("x", "a]").check().is_err());
        assert!(tagged("x", "spring-2026").check().is_ok());
    }

    proptest! {
        #[test]
        fn every_pause_comes_back(reason in "[a-z \\[\\]:,]{0,20}", tag in proptest::option::of("[a-z-]{1,8}")) {
            let pause = Pause { tag, ..Pause::new(&reason) };
            // A reason that itself looks like attributes is the one thing that cannot.
            prop_assume!(pause.tag.is_some() || !pause.reason.ends_with(']'));
            let back = parse(&note(std::slice::from_ref(&pause)));
            if pause.tag.is_none() && pause.reason.is_empty() {
                prop_assert_eq!(back, vec![Pause::new("no reason given")]);
            } else {
                prop_assert_eq!(back, vec![pause]);
            }
        }
    }
}

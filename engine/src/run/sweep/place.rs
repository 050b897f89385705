//! What an object is, by its path.

use tidemark_model::entry::RunNumber;

/// What may be swept, in the order in which it is. Of a run, its pages go before what it was
/// decided to be, and that goes before the note of its end: each of them speaks for the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Snapshots,
    Changes,
    Exceptions,
    Acknowledgements,
    Pages,
    RunFiles,
    RunRecords,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::Snapshots,
        Self::Changes,
        Self::Exceptions,
        Self::Acknowledgements,
        Self::Pages,
        Self::RunFiles,
        Self::RunRecords,
    ];

    /// Below the connection's.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots",
            Self::Changes => "changes",
            Self::Exceptions => "exceptions",
            Self::Acknowledgements => "acks",
            Self::Pages => "pages",
            Self::RunFiles | Self::RunRecords => "runs",
        }
    }
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Of the run that took, or meant to take, this number.
    Number(RunNumber),
    /// Of the workflow run with this id.
    Run(String),
}

/// An object that may be swept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) of: Of,
}

impl Place {
    /// `None` for a path that no run writes: it stays.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (folder, rest) = path.split_once('/')?;
        let (first, is_folder) = match rest.split_once('/') {
            Some((first, _)) => (first, true),
            None => (rest, false),
        };
        let run = |id: &str| Of::Run(id.to_owned());
        let (kind, of) = match (folder, is_folder) {
            ("snapshots", true) => (Kind::Snapshots, numbered(first)?),
            ("changes", true) => (Kind::Changes, numbered(first)?),
            ("exceptions", false) => (Kind::Exceptions, numbered(first)?),
            ("acks", true) => (Kind::Acknowledgements, Of::Number(number(first)?)),
            ("pages", true) => (Kind::Pages, run(first)),
            ("runs", true) => (Kind::RunFiles, run(first)),
            ("runs", false) => (Kind::RunRecords, run(first.strip_suffix(".json")?)),
            _ => return None,
        };
        Some(Self { kind, of })
    }
}

/// `<number>-<nonce>`.
fn numbered(name: &str) -> Option<Of> {
    let (digits, _) = name.split_once('-')?;
    number(digits).map(Of::Number)
}

fn number(digits: &str) -> Option<RunNumber> {
    let whole = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = whole.then(|| digits.parse().ok()).flatten()?;
    Some(RunNumber::new(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_write_is_known_by_its_path() {
        let of = |path: &str| Place::of(path).map(|place| (place.kind, place.of));
        let number = Of::Number(RunNumber::new(7));
        let run = Of::Run("5f0c".to_owned());
        let known = [
            ("snapshots/000000000007-a1/delta-00000.parquet", Kind::Snapshots, &number),
            ("changes/000000000007-a1/index.json", Kind::Changes, &number),
            ("changes/000000000007-a1/by-approval/chosen.zst", Kind::Changes, &number),
            ("exceptions/000000000007-a1.ndjson", Kind::Exceptions, &number),
            ("acks/000000000007/5f0c/00000003.json", Kind::Acknowledgements, &number),
            ("acks/000000000007/5f0c/00000003-000001.split", Kind::Acknowledgements, &number),
            ("pages/5f0c/window-00001.page", Kind::Pages, &run),
            ("runs/5f0c/start.json", Kind::RunFiles, &run),
            ("runs/5f0c.json", Kind::RunRecords, &run),
        ];
        for (path, kind, whose) in known {
            assert_eq!(of(path), Some((kind, whose.clone())), "{path}");
        }
    }

    #[test]
    fn what_is_none_of_a_runs_stays() {
        let others = [
            "log/000000000/000000000007.prepared",
            "definitions/0000000001.json",
            "decisions/0000000001.json",
            "late/000000000007-a1",
            "snapshots/000000000007-a1",
            "snapshots/7-a1/delta-00000.parquet",
            "snapshots/+00000000007-a1/delta-00000.parquet",
            "exceptions/notes.txt",
            "acks/000000000007-a1/00000003.json",
            "runs/notes.txt",
            "store.json",
        ];
        for path in others {
            assert_eq!(Place::of(path), None, "{path}");
        }
    }
}

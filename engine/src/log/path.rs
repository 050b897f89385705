//! Where entries are: zero-padded numbers in folders of a thousand, so that names sort as numbers
//! and a year of hours does not make every look a long listing.

use tidemark_model::entry::RunNumber;

/// The numbers in a folder.
pub(super) const CHAPTER_SIZE: u64 = 1_000;

/// The folder of all entries.
pub(super) const LOG: &str = "log";

/// What an entry says of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Prepared,
    Committed,
    Purged,
}

impl Mark {
    const ALL: [Self; 3] = [Self::Prepared, Self::Committed, Self::Purged];

    fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Purged => "purged",
        }
    }
}

pub(super) fn chapter_folder(chapter: u64) -> String {
    format!("{LOG}/{chapter:09}")
}

/// The chapter of a folder's name, as a listing gives it.
pub(super) fn chapter_of(name: &str) -> Option<u64> {
    name.strip_suffix('/')?.parse().ok()
}

pub(super) fn path(number: RunNumber, mark: Mark) -> String {
    let number = number.get();
    format!("{}/{number:012}.{}", chapter_folder(number / CHAPTER_SIZE), mark.as_str())
}

/// The number and the mark of an entry's name, `None` for a name that is no entry's.
pub(super) fn entry_of(name: &str) -> Option<(u64, Mark)> {
    let (number, mark) = name.split_once('.')?;
    let mark = Mark::ALL.into_iter().find(|known| known.as_str() == mark)?;
    Some((number.parse().ok()?, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_numbers_and_read_back() {
        let path = path(RunNumber::new(8_761), Mark::Committed);
        assert_eq!(path, "log/000000008/000000008761.committed");
        assert_eq!(entry_of("000000008761.committed"), Some((8_761, Mark::Committed)));
        assert_eq!(chapter_of("000000008/"), Some(8));
        assert_eq!(entry_of("000000008761.committed.swp"), None);
        assert_eq!(entry_of("notes.txt"), None);
    }
}

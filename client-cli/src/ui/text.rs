//! Numbers and lists as people read them.

use std::fmt::Write as _;

/// `1,200`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 record`, `1,200 records`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// The number of things in memory, [`counted`].
pub(crate) fn number_of(count: usize, noun: &str) -> String {
    counted(count as u64, noun)
}

/// An error in a cell, and what to do about it.
pub(crate) fn with_hints(error: &str, hints: &[String]) -> String {
    hints.iter().fold(error.to_owned(), |text, hint| format!("{text}; hint: {hint}"))
}

/// `a`, `a and b`, `a, b, and c`; of more than `most` the rest is a number.
pub(crate) fn joined<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let shown = if items.len() > most { most.saturating_sub(1) } else { items.len() };
    let mut parts: Vec<String> =
        items.iter().take(shown).map(|item| item.as_ref().to_owned()).collect();
    if items.len() > shown {
        parts.push(format!("{} more", items.len() - shown));
    }
    match parts.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [head @ .., last] => {
            let mut text = String::new();
            for part in head {
                write!(text, "{part}, ").expect("writing to a string cannot fail");
            }
            text + "and " + last
        }
    }
}

/// The first line of a text, cut to `limit` characters with `…` at its end.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= limit && line.len() == text.len() {
        return line.to_owned();
    }
    let head: String = line.chars().take(limit.saturating_sub(1)).collect();
    head.trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let all: Vec<String> = [0, 1, 999, 1_000, 1_234_567].map(grouped).into();
        assert_eq!(all.join(" "), "0 1 999 1,000 1,234,567");
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(0, "record"), "0 records");
    }

    #[test]
    fn lists_end() {
        assert_eq!(joined::<&str>(&[], 3), "");
        assert_eq!(joined(&["a"], 3), "a");
        assert_eq!(joined(&["a", "b"], 3), "a and b");
        assert_eq!(joined(&["a", "b", "c"], 3), "a, b, and c");
        assert_eq!(joined(&["a", "b", "c", "d"], 3), "a, b, and 2 more");
    }

    #[test]
    fn a_cut_shows() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(cut("two\nlines", 9), "two…");
    }
}

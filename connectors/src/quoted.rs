//! Texts of other systems that are passed on: whoever writes them may quote a contact.

/// What an address holds, as it stands in a text or in a URL.
const AT_SIGNS: [&str; 4] = ["@", "＠", "﹫", "%40"];

/// A text without what looks like an e-mail address. Too much is taken out rather than too little:
/// whatever hangs together around an at sign goes.
pub(crate) fn without_addresses(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for word in text.split_inclusive(ends_word) {
        let core = word.trim_end_matches(ends_word).trim_matches(surrounds_word);
        let address = AT_SIGNS.iter().any(|sign| core.contains(*sign))
            && core.contains(char::is_alphanumeric);
        if address {
            kept.push_str(&word.replacen(core, "…", 1));
        } else {
            kept.push_str(word);
        }
    }
    kept
}

/// A character that stands in no address that is not quoted.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"\\<>()[]{},;:".contains(c)
}

/// A character that belongs to the sentence around an address rather than to it.
fn surrounds_word(c: char) -> bool {
    "'`.!?*|".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_looks_like_an_address_is_taken_out() {
        for (text, kept) in [
            ("ada@example.com is taken", "… is taken"),
            ("is taken: Ada.L+x@Sub.Example.COM.", "is taken: …."),
            ("'o'brien@localhost'?", "'…'?"),
            ("mailto:ada@example.com,bob@example.com", "mailto:…,…"),
            (r#"{\"email\":\"ada@bücher.example\"}"#, r#"{\"email\":\"…\"}"#),
            ("GET /record/ada%40example.com failed", "GET … failed"),
            ("<ada@[10.0.0.1]>", "<…[10.0.0.1]>"),
            ("a@b@c＠d", "…"),
            ("….lovelace@…", "…"),
            ("from @example.com", "from …"),
        ] {
            assert_eq!(without_addresses(text), kept);
        }
    }

    #[test]
    fn everything_else_is_left_as_it_is() {
        for text in ["", "n:1 is not valid", "@ 5 pm", "1,5 % … \"x\"", "é\n(?)"] {
            assert_eq!(without_addresses(text), text);
        }
    }
}

//! Incoming webhooks of Slack, and of those that take the same.
//!
//! Whatever comes from elsewhere stands in code spans, where nothing is a mention, a link or
//! formatting; and what could end a span or begin an escape is replaced.

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::Sink;
use super::error::SinkError;
use super::post::{Poster, Target};
use super::words::{self, visible};
use crate::rules::{Notice, Phase, Subject};

/// The most characters of a text: Slack cuts messages of more than 40,000 bytes, and recommends a
/// tenth.
const TEXT_LIMIT: usize = 2_000;

pub(super) struct Slack {
    poster: Poster,
    target: Target,
}

impl Slack {
    pub(super) fn new(poster: Poster, url: reqwest::Url) -> Self {
        Self { poster, target: Target::new(url, None) }
    }
}

#[async_trait]
impl Sink for Slack {
    async fn deliver(&self, notice: &Notice, _now: Timestamp) -> Result<(), SinkError> {
        let body = json!({ "text": text(notice) }).to_string();
        self.poster.post(&self.target, HeaderMap::new(), body).await
    }
}

fn text(notice: &Notice) -> String {
    let (what, who) = words::title(&notice.subject);
    let head = match (&notice.subject, notice.phase) {
        (Subject::Test { .. }, _) => format!("🧪 *{what}*"),
        (_, Phase::Opened) => format!("🔴 *{what}*"),
        (_, Phase::Reminder) => format!("🔴 *still {what}*"),
        (_, Phase::Closed) => format!("🟢 *over: {what}*"),
    };
    let mut text = format!("{head} {}\n{}", code(&who), code(&notice.to_string()));
    if let Some(next) = words::next(notice) {
        text = format!("{text}\nnext: {}", code(&next));
    }
    text
}

/// A code span. Its limit counts before escaping, so that no escape is cut in two.
fn code(text: &str) -> String {
    let mut span = "`".to_owned();
    for c in visible(text, TEXT_LIMIT).trim().chars() {
        match c {
            '&' => span.push_str("&amp;"),
            '<' => span.push_str("&lt;"),
            '>' => span.push_str("&gt;"),
            '`' => span.push('\''),
            other => span.push(other),
        }
    }
    span.push('`');
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_code_span() {
        assert_eq!(
            code("<!channel> <http://x|y> & `*b*` ```\n@here"),
            r"`&lt;!channel&gt; &lt;http://x|y&gt; &amp; '*b*' '''\n@here`"
        );
        assert_eq!(code(&"<".repeat(3_000)), format!("`{}…`", "&lt;".repeat(TEXT_LIMIT)));
    }
}

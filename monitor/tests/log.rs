//! The line in the log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tidemark_monitor::rules::Phase;
use tidemark_monitor::sinks::{Outcome, Sinks};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::fmt::MakeWriter;

use crate::notices::{HOSTILE, failing, group, late, send, then};
use crate::receiver::connect;

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<u8>>>);

impl Journal {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + 'static {
        tracing_subscriber::fmt().json().without_time().with_writer(self.clone()).finish()
    }
}

impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Journal {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

async fn logged(sinks: &Sinks, notice: tidemark_monitor::rules::Notice) -> String {
    let journal = Journal::default();
    let outcome = send(sinks, "journal", notice).with_subscriber(journal.subscriber()).await;
    assert_eq!(outcome, Outcome::Sent);
    journal.text()
}

#[tokio::test]
async fn a_notice_is_one_line_with_fields() {
    let sinks = connect("[[sink]]\nname = 'journal'\nkind = 'log'", &[]);
    let opened = late("acme/news", failing(HOSTILE));
    let over = then(&opened, Phase::Closed, 60);
    let mut lines = Vec::new();
    for notice in [opened, over, group("no answer")] {
        let line = logged(&sinks, notice).await;
        assert_eq!(line.lines().count(), 1);
        let shown = line.trim_end();
        let fields: serde_json::Value = serde_json::from_str(shown).unwrap();
        // Even whoever takes the text out of the line finds no control character in it.
        let text = fields["fields"]["text"].as_str().unwrap();
        assert!(!text.chars().any(char::is_control), "{text}");
        lines.push(shown.to_owned());
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"level":"WARN","fields":{"message":"notice","key":"late/acme/news/7","phase":"opened","about":"late","of":"acme/news","severity":"warning","text":"acme/news: late: failing since 2026-11-26T09:00:00Z (transient; source must act): <!channel> <http://evil.example|click> \"quoted\" 'too' *bold* `code` & more\\nnext line\\u{1b}[31m\\u{202e} {{ .Labels }} </script>","next":"tidemark inspect acme/news"},"target":"tidemark_monitor::sinks::log"}
    {"level":"INFO","fields":{"message":"notice","key":"late/acme/news/7/closed","phase":"closed","about":"late","of":"acme/news","severity":"warning","text":"acme/news: in time again"},"target":"tidemark_monitor::sinks::log"}
    {"level":"ERROR","fields":{"message":"notice","key":"group/late/failing/source/us1.api.mailchimp.com/2026-11-26T10:00:00Z","phase":"opened","about":"late","of":"5 connections","severity":"critical","text":"5 connections: late; acme/news: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer; globex/a: failing since 2026-11-26T09:00:00Z (transient; source must act): no answer","next":"tidemark lag --by cause"},"target":"tidemark_monitor::sinks::log"}
    "#);
}

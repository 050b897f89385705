use super::*;

fn read(text: &str) -> Result<Vec<SinkConfig>, Problems> {
    sinks(&SourceText { name: "monitor.toml".to_owned(), text: text.to_owned() })
}

fn problems(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn every_kind_is_read() {
    let sinks = read(
        r#"
store = "file:///var/lib/tidemark"

[[sink]]
name = "hook"
kind = "webhook"
url = "https://hooks.example.com/tidemark"
secret = "env:HOOK_KEY"
accounts = ["globex", "acme"]

[[sink]]
name = "team"
kind = "slack"
url = "file:/run/secrets/slack"

[[sink]]
name = "pager"
kind = "alertmanager"
url = "http://alertmanager:9093"
plain_http = true

[[sink]]
name = "journal"
kind = "log"
"#,
    )
    .unwrap();
    let lines: Vec<String> = sinks.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    hook: webhook https://hooks.example.com/tidemark plain_http=false env:HOOK_KEY Some({AccountId("acme"), AccountId("globex")})
    team: slack file:/run/secrets/slack plain_http=false None
    pager: alertmanager http://alertmanager:9093/ plain_http=true None
    journal: log None
    "#);
}

fn line(sink: &SinkConfig) -> String {
    let place = |place: &Place| match &place.address {
        Address::Literal(url) => format!("{url} plain_http={}", place.plain_http),
        Address::Secret(reference) => format!("{reference} plain_http={}", place.plain_http),
    };
    let kind = match &sink.kind {
        SinkKind::Webhook { place: at, secret } => format!("webhook {} {secret}", place(at)),
        SinkKind::Slack { place: at } => format!("slack {}", place(at)),
        SinkKind::Alertmanager { place: at } => format!("alertmanager {}", place(at)),
        SinkKind::Log => "log".to_owned(),
    };
    format!("{}: {kind} {:?}", sink.name, sink.accounts)
}

#[test]
fn a_file_may_have_no_sink() {
    assert_eq!(read("listen = '127.0.0.1:1'").unwrap(), []);
}

#[test]
fn all_problems_are_told_at_once_with_their_places_and_without_values() {
    let text = r#"
[[sink]]
name = "team"
kind = "slack"
url = "https://hooks.slack.com/services/T0/B0/s3cr3tXXs3cr3tXX"
secret = "env:SIGNING"

[[sink]]
name = "team"
kind = "webhok"
url = "https://user:s3cr3tXX@example.com/"
secret = "s3cr3tXX"
account = ["acme"]

[[sink]]
kind = "webhook"
urll = "https://example.com/?key=s3cr3tXX"
plain_http = "yes"
accounts = ["Acme"]

[[sink]]
name = "pager"
kind = "alertmanager"
url = "http://alertmanager:9093"
accounts = []

[[sink]]
name = "hook"
kind = "webhook"
url = "https://example.com/?key=s3cr3tXX"
secret = "env:KEY"

[[sink]]
name = "journal"
kind = "log"
url = "https://example.com/"
"#;
    let problems = problems(text);
    assert!(!problems.contains("s3cr3tXX"), "{problems}");
    insta::assert_snapshot!(problems, @r#"
    monitor.toml:5:7: `sink.url` is refused: a secret is given as a reference, `env:NAME` or `file:/path`; a literal one is refused
      hint: put the secret into a variable or a file of the monitor, and write "env:NAME" or "file:/path" here
    monitor.toml:6:1: `sink.secret` is unknown
      hint: known here: `name`, `kind`, `accounts`, `url`, and `plain_http`
    monitor.toml:9:8: `sink.name` `team` is that of another sink as well
      hint: give one of the two another name
    monitor.toml:10:8: `sink.kind` has to be `webhook`, `slack`, `alertmanager`, or `log`
      hint: did you mean `webhook`?
    monitor.toml:11:7: `sink.url` is refused: it holds a user or a password, and only a reference may lead to those
      hint: write "https://host/path"; put an address that holds a secret into a variable or a file of the monitor as a whole, and write "env:NAME" or "file:/path" here
    monitor.toml:12:10: `sink.secret` is refused: a secret is given as a reference, `env:NAME` or `file:/path`; a literal one is refused
      hint: put the secret into a variable or a file of the monitor, and write "env:NAME" or "file:/path" here
    monitor.toml:13:1: `sink.account` is unknown
      hint: did you mean `accounts`?
    monitor.toml:15:1: `sink.name` is missing
      hint: write name = "…", a word that tells it from other sinks
    monitor.toml:15:1: `sink.secret` is missing
      hint: write secret = "env:NAME" or "file:/path": what is sent is signed with it
    monitor.toml:15:1: `sink.url` is missing
      hint: write url = "https://host/path", or "env:NAME" or "file:/path"
    monitor.toml:17:1: `sink.urll` is unknown
      hint: did you mean `url`?
    monitor.toml:18:14: `sink.plain_http` has to be `true` or `false`, found text
    monitor.toml:19:12: `sink.accounts` contains 'A', and only a-z, 0-9 and `-` are allowed
      hint: write accounts = ["acme"], each of a-z, 0-9 and `-`; without the key it is all
    monitor.toml:24:7: `sink.url` is refused: without TLS everybody on the way could read and change what is sent
      hint: use https://, or write plain_http = true if the network is yours
    monitor.toml:25:12: `sink.accounts` is empty, so it would be told nothing
      hint: write accounts = ["acme"], each of a-z, 0-9 and `-`; without the key it is all
    monitor.toml:30:7: `sink.url` is refused: it holds `?` or `#`, and only a reference may lead to those
      hint: write "https://host/path"; put an address that holds a secret into a variable or a file of the monitor as a whole, and write "env:NAME" or "file:/path" here
    monitor.toml:36:1: `sink.url` is unknown
      hint: known here: `name`, `kind`, and `accounts`
    "#);
}

#[test]
fn other_forms_of_the_table_are_refused() {
    insta::assert_snapshot!(problems("[sink]\nname = 'a'"), @r"
    monitor.toml:1:1: `sink` has to be a list of tables, found a table
      hint: begin each sink with [[sink]]
    ");
    insta::assert_snapshot!(problems("sink = ['a', 1]"), @r"
    monitor.toml:1:9: each `sink` has to be a table, found text
      hint: begin each sink with [[sink]]
    monitor.toml:1:14: each `sink` has to be a table, found an integer
      hint: begin each sink with [[sink]]
    ");
    insta::assert_snapshot!(problems("[[sink]\nname ="), @r"
    monitor.toml:1:8: not TOML: unclosed array table, expected `]`
    ");
}

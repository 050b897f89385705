//! Sinks that cannot be connected.

use tidemark_model::definition::SourceText;
use tidemark_monitor::config;
use tidemark_monitor::sinks::Sinks;

use crate::receiver::{Secrets, install_tls};

#[test]
fn all_that_is_wrong_with_secrets_is_told_at_once_and_none_is_shown() {
    install_tls();
    let text = "
[[sink]]
name = 'unset'
kind = 'slack'
url = 'env:NONE'
[[sink]]
name = 'unreadable'
kind = 'slack'
url = 'file:/none'
[[sink]]
name = 'no-address'
kind = 'slack'
url = 'env:TOKEN'
[[sink]]
name = 'plain'
kind = 'slack'
url = 'env:PLAIN'
[[sink]]
name = 'unsigned'
kind = 'webhook'
url = 'https://example.com/hook'
secret = 'env:BLANK'
[[sink]]
name = 'guessed'
kind = 'webhook'
url = 'https://example.com/hook'
secret = 'env:SHORT'
[[sink]]
name = 'fine'
kind = 'alertmanager'
url = 'env:PRIVATE'
";
    let file = SourceText { name: "monitor.toml".to_owned(), text: text.to_owned() };
    let configs = config::sinks(&file).unwrap();
    let secrets = [
        ("TOKEN", "s3cr3t"),
        ("PLAIN", "http://hooks.example.com/s3cr3t"),
        ("BLANK", " "),
        ("SHORT", "123456789-s3cr3"),
        ("PRIVATE", "https://user:s3cr3t@example.com/?s3cr3t"),
    ];
    let Err(problems) = Sinks::connect(&configs, &Secrets(&secrets), None) else { panic!() };
    let text = format!("{problems} {problems:?}");
    assert!(!text.contains("s3cr3"), "{text}");
    insta::assert_snapshot!(problems, @r"
    sink unset: `url` leads nowhere: the variable `NONE` is not set; what it leads to is read when the monitor starts: correct it, and start it again
    sink unreadable: `url` leads nowhere: the file `/none` cannot be read: entity not found; what it leads to is read when the monitor starts: correct it, and start it again
    sink no-address: `url` is not an address; what it leads to is read when the monitor starts: correct it, and start it again
    sink plain: `url` is refused: without TLS everybody on the way could read and change what is sent; use https://, or write plain_http = true if the network is yours
    sink unsigned: `secret` leads nowhere: the secret at `env:BLANK` is empty; what it leads to is read when the monitor starts: correct it, and start it again
    sink guessed: `secret` has fewer than 16 characters and could be guessed: make one with `openssl rand -hex 24`
    ");
}

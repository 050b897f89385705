use std::path::PathBuf;

use clap::{Args as _, Command};
use tidemark_process::SettingsFile;

use super::*;

fn load(variables: &[(&str, &str)], file: &str) -> Result<GatewayConfig, ConfigError> {
    let file = SettingsFile::parse::<GatewayRole>(PathBuf::from("gateway.toml"), file)?;
    let variable = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    GatewayConfig::of(&Layers::new(&GatewayFlags::default(), &variable, file))
}

const STORE: &str = "store = 'file:///state'";

#[test]
fn only_the_store_must_be_said() {
    let config = load(&[("TIDEMARK_STORE", "s3://bucket/prefix")], "").unwrap();
    assert_eq!(config.store, "s3://bucket/prefix");
    assert_eq!(config.listen, "127.0.0.1:8620".parse().unwrap());
    assert_eq!((config.ops_address, config.max_requests), (None, 256));
    assert_eq!(config.tokens, []);
}

#[test]
fn a_variable_wins_over_the_file() {
    let file = format!("{STORE}\nlisten = '127.0.0.1:1'\nrequest_timeout = '1s'");
    let config = load(&[("TIDEMARK_GATEWAY_LISTEN", "127.0.0.1:2")], &file).unwrap();
    assert_eq!(config.listen, "127.0.0.1:2".parse().unwrap());
    assert_eq!(config.request_timeout, Duration::from_secs(1));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let token = |lines: &str| format!("{STORE}\n[[token]]\n{lines}");
    let messages = [
        load(&[], ""),
        load(&[], &format!("{STORE}\nlisten = 'here'")),
        load(&[], &format!("{STORE}\nmax_requests = 0")),
        load(&[], &format!("{STORE}\ntokens = 1")),
        load(&[("TIDEMARK_LOG", "inof")], STORE),
        load(&[], &token("secret = 'env:A'")),
        load(&[], &token("secret = 'env:A'\naccounts = ['Acme']")),
        load(&[], &token("secret = 'env:A'\naccounts = ['acme']\nname = 'x'")),
    ];
    let messages: Vec<String> =
        messages.into_iter().map(|refused| refused.unwrap_err().to_string()).collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn the_flags_explain_themselves() {
    let mut command = GatewayFlags::augment_args(Command::new("gateway")).term_width(100);
    insta::assert_snapshot!(command.render_long_help());
}

#[test]
fn the_page_names_every_setting_with_its_default() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/freshness.md");
    let page = std::fs::read_to_string(page).unwrap();
    for setting in SETTINGS {
        let row = match setting.default {
            Some(default) => format!("| `{}` | `{default}` |", setting.name),
            None => format!("| `{}` |", setting.name),
        };
        assert!(page.contains(&row), "{row}");
    }
}

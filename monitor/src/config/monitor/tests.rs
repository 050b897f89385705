use std::path::PathBuf;

use tidemark_process::SettingsFile;

use super::*;

fn load(variables: &[(&str, &str)], file: &str) -> Result<MonitorConfig, MonitorConfigError> {
    let file = SettingsFile::parse::<MonitorRole>(PathBuf::from("monitor.toml"), file)?;
    let variable = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    MonitorConfig::of(&Layers::new(&MonitorFlags::default(), &variable, file))
}

const STORE: &str = "store = 'file:///state'";

#[test]
fn only_the_store_must_be_said() {
    let config = load(&[("TIDEMARK_STORE", "s3://bucket/prefix")], "").unwrap();
    assert_eq!(config.store, "s3://bucket/prefix");
    assert_eq!(config.projection, ProjectionSettings::default());
    assert_eq!(config.pass_every, Duration::from_secs(20));
    assert_eq!((config.dead_man, config.ops_address, config.sinks.len()), (None, None, 0));
}

#[test]
fn the_defaults_are_those_of_the_rules() {
    let config = load(&[], STORE).unwrap();
    let rules = crate::rules::Settings::default();
    assert_eq!((config.clock_skew, config.remind_every), (rules.skew, rules.remind_every));
}

#[test]
fn sinks_are_read_from_the_file() {
    let config = load(&[], &format!("{STORE}\n[[sink]]\nname = 'log'\nkind = 'log'")).unwrap();
    assert_eq!(config.sinks.len(), 1);
}

#[test]
fn what_is_wrong_is_said_and_no_secret_with_it() {
    let refused = |file: &str| load(&[], file).unwrap_err().to_string();
    assert_eq!(
        refused(&format!("{STORE}\npass_every = '2m'")),
        "pass_every is 120s: say more than 0s, and a minute at most"
    );
    assert_eq!(
        refused(&format!("{STORE}\nremind_every = '0s'")),
        "remind_every is 0s, which would remind of everything in each pass: say more than 0s"
    );
    assert!(refused("").starts_with("`store` is missing"));
    let log = refused(&format!("{STORE}\nlog = 'inof'"));
    assert!(log.starts_with("`log` in monitor.toml: `inof` is not a filter"), "{log}");
    let dead_man = refused(&format!("{STORE}\ndead_man = 'http://ping.example.com/x'"));
    assert!(dead_man.contains("without TLS"), "{dead_man}");
    assert!(dead_man.ends_with("use https://, or an address of this machine"), "{dead_man}");
    let dead_man = refused(&format!("{STORE}\ndead_man = 'https://me:s3cret@ping.example.com/'"));
    assert!(dead_man.contains("a user or a password"), "{dead_man}");
    assert!(!dead_man.contains("s3cret"), "{dead_man}");
    let sinks = refused(&format!("{STORE}\n[[sink]]\nname = 'a'\nkind = 'pigeon'\n[[sink]]\n"));
    assert!(sinks.contains("`sink.kind` has to be"), "{sinks}");
    assert!(sinks.contains("`sink.name` is missing"), "{sinks}");
}

#[test]
fn the_page_names_every_setting_with_its_default() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitor.md");
    let page = std::fs::read_to_string(page).unwrap();
    for setting in SETTINGS {
        let default = setting.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let row = format!("| `{}` | {default}", setting.name);
        let named =
            page.lines().any(|line| line.starts_with(&row) && line.contains(setting.variable));
        assert!(named, "{row}");
    }
}

use clap::{Args as _, Command, FromArgMatches as _};
use tidemark_process::SettingsFile;

use super::*;

/// A configuration out of the three layers, each given as its author writes it.
fn load(
    arguments: &[&str],
    variables: &[(&str, &str)],
    file: &str,
) -> Result<WorkerConfig, ConfigError> {
    let command = WorkerFlags::augment_args(Command::new("worker"));
    let matches = command.try_get_matches_from(["worker"].iter().chain(arguments)).unwrap();
    let flags = WorkerFlags::from_arg_matches(&matches).unwrap();
    let file = SettingsFile::parse::<WorkerRole>(PathBuf::from("worker.toml"), file)?;
    let variable = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    WorkerConfig::of(&Layers::new(&flags, &variable, file))
}

fn refused(arguments: &[&str], variables: &[(&str, &str)], file: &str) -> String {
    load(arguments, variables, file).unwrap_err().to_string()
}

const STORE: &str = "store = 'file:///state'";

#[test]
fn each_layer_wins_over_the_next() {
    let queue = |arguments: &[&str], variables: &[(&str, &str)], file: &str| {
        load(arguments, variables, &format!("{STORE}\n{file}")).unwrap().task_queue
    };
    let flag: &[&str] = &["--task-queue", "from-flag"];
    let variable: &[(&str, &str)] = &[("TIDEMARK_TASK_QUEUE", "from-variable")];
    let file = "task_queue = 'from-file'";

    assert_eq!(queue(&[], &[], ""), "tidemark");
    assert_eq!(queue(&[], &[], file), "from-file");
    assert_eq!(queue(&[], variable, file), "from-variable");
    assert_eq!(queue(flag, variable, file), "from-flag");
}

#[test]
fn a_task_queue_has_a_name() {
    let message = refused(&["--task-queue", ""], &[], STORE);
    assert_eq!(message, "--task-queue: `` is no name of a task queue");
}

#[test]
fn only_the_store_must_be_said() {
    let config = load(&[], &[("TIDEMARK_STORE", "s3://bucket/prefix")], "").unwrap();
    assert_eq!(config.store, "s3://bucket/prefix");
    assert_eq!(config.max_activities, 16);
    assert_eq!(config.memory_budget, ByteSize::mib(128));
    assert_eq!(config.grace_period, Duration::from_secs(30));
    assert_eq!(config.heartbeat, HeartbeatTimes::default());
    assert_eq!(config.fence, FenceTimes::default());
    assert_eq!(config.projection(), ProjectionSettings::default());
    assert_eq!(config.ops_address, None);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let messages = [
        refused(&[], &[], ""),
        refused(&["--grace-period", "soon"], &[], STORE),
        refused(&[], &[("TIDEMARK_MEMORY_BUDGET", "much")], STORE),
        refused(&["--memory-budget", "128"], &[], STORE),
        refused(&[], &[], &format!("{STORE}\nmax_activities = 0")),
        refused(&[], &[], &format!("{STORE}\nmax_activities = true")),
        refused(&[], &[], &format!("{STORE}\nops_address = 'here'")),
        refused(&[], &[], &format!("{STORE}\ngrace_periode = '1s'")),
        refused(&[], &[], &format!("{STORE}\ncolour = 'blue'")),
        refused(&[], &[], &format!("{STORE}\nlog_format = 'xml'")),
        refused(&["--log", "nonsense!!"], &[], STORE),
        refused(&[], &[("TIDEMARK_LOG", "info,tidemark_engine")], STORE),
        refused(&[], &[], "store = "),
        refused(&["--heartbeat-patience", "20s"], &[], STORE),
        refused(&["--heartbeat-interval", "15s"], &[], STORE),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_spill_folder_is_one_in_which_files_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    takes_files(&folder.path().join("not/there")).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();

    let refused = takes_files(&file.join("spill")).unwrap_err().to_string();

    let said = format!("spill_folder is {}/spill, where no file can be made: ", file.display());
    assert!(refused.starts_with(&said), "{refused}");
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    let mut flags = WorkerFlags::default();
    flags.config = Some(path.clone());

    let error = WorkerConfig::load(&flags, &|_| None).unwrap_err();

    assert_eq!(error.to_string(), format!("{} cannot be read", path.display()));
}

#[test]
fn the_variable_names_the_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    std::fs::write(&path, STORE).unwrap();
    let variable =
        |name: &str| (name == WorkerRole::CONFIG_VARIABLE).then(|| path.display().to_string());

    let config = WorkerConfig::load(&WorkerFlags::default(), &variable).unwrap();

    assert_eq!(config.store, "file:///state");
}

#[test]
fn the_flags_explain_themselves() {
    let mut command = WorkerFlags::augment_args(Command::new("worker")).term_width(100);
    insta::assert_snapshot!(command.render_long_help());
}

#[test]
fn the_reference_page_names_every_setting_with_its_default() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/definitions.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, limits) = page.split_once("## Limits of a worker").expect("the page has this section");
    let named = limits.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(named.count(), SETTINGS.len(), "each setting has a row, and nothing else");
    for setting in SETTINGS {
        let row = match setting.default {
            Some(default) => format!("| `{}` | `{default}` |", setting.name),
            None => format!("| `{}` |", setting.name),
        };
        assert!(limits.contains(&row), "{row}");
    }
}

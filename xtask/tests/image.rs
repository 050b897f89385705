//! The Dockerfile agrees with the rest of the repository.

use std::fs;

use super::root;

/// The lines of the last stage that has this name, comments left out.
fn stage<'a>(dockerfile: &'a str, name: &str) -> Vec<&'a str> {
    let end = format!(" AS {name}");
    dockerfile
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip_while(|line| !(line.starts_with("FROM ") && line.ends_with(&end)))
        .enumerate()
        .take_while(|(index, line)| *index == 0 || !line.starts_with("FROM "))
        .map(|(_, line)| line)
        .collect()
}

fn dockerfile() -> String {
    fs::read_to_string(root().join("Dockerfile")).unwrap()
}

#[test]
fn is_built_with_the_toolchain_of_the_workspace() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain.split('"').nth(1).unwrap();
    let dockerfile = dockerfile();
    let version =
        dockerfile.lines().find_map(|line| line.strip_prefix("ARG RUST_VERSION=")).unwrap();
    assert!(channel.starts_with(version), "Dockerfile: {version}, rust-toolchain.toml: {channel}");
}

#[test]
fn has_no_simulator_unless_asked() {
    let dockerfile = dockerfile();
    let last = dockerfile.lines().rfind(|line| line.starts_with("FROM ")).unwrap();
    assert_eq!(last, "FROM runtime AS production", "the last stage is the default one");
    assert!(stage(&dockerfile, "production").join(" ").contains("--from=build "));
    assert!(stage(&dockerfile, "build").join(" ").contains("--no-default-features"));
    assert!(stage(&dockerfile, "demo").join(" ").contains("--from=build-demo "));
    assert!(!stage(&dockerfile, "build-demo").join(" ").contains("--no-default-features"));
}

#[test]
fn is_not_root_and_stops_in_good_order() {
    let dockerfile = dockerfile();
    let runtime = stage(&dockerfile, "runtime");
    assert!(runtime.contains(&"USER 10001:10001"));
    assert!(runtime.contains(&"STOPSIGNAL SIGTERM"));
    assert!(runtime.contains(&r#"ENTRYPOINT ["tidemark"]"#));
    let later = [stage(&dockerfile, "production"), stage(&dockerfile, "demo")].concat();
    assert!(!later.iter().any(|line| line.starts_with("USER")), "{later:?}");
}

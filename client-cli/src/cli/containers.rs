//! The command lines that containers run, held against what the program takes.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::error::ErrorKind;

use super::Cli;

/// A file at the root of the checkout.
fn file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(name)).unwrap()
}

/// The services with a `command`, and its words: a list in one line, or one word in each line.
fn commands(compose: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    let mut service = "";
    let mut open = false;
    for line in compose.lines() {
        let text = line.trim();
        let depth = line.len() - line.trim_start().len();
        let word = text.strip_prefix("- ").filter(|_| open && depth == 6);
        if let Some(word) = word {
            commands.last_mut().unwrap().1.push(word.to_owned());
            continue;
        }
        open = false;
        if depth == 2
            && let Some(name) = text.strip_suffix(':')
        {
            service = name;
        }
        if depth == 4
            && let Some(list) = text.strip_prefix("command:")
        {
            open = list.is_empty();
            let words = if open { Vec::new() } else { serde_json::from_str(list).unwrap() };
            commands.push((service.to_owned(), words));
        }
    }
    commands
}

fn read(words: &[String]) -> Result<Cli, clap::Error> {
    let words = words.iter().map(OsString::from);
    Cli::read(std::iter::once(OsString::from("tidemark")).chain(words))
}

#[test]
fn of_docker_compose_parse() {
    let commands = commands(&file("docker-compose.yml"));
    let services: Vec<&str> = commands.iter().map(|(service, _)| service.as_str()).collect();
    assert_eq!(services, ["setup", "worker", "monitor", "gateway", "cli", "simulator"]);
    for (service, words) in &commands {
        assert!(!words.is_empty(), "{service} has no verb");
        if let Err(error) = read(words) {
            panic!("{service}: {error}");
        }
        let misspelt = [words.as_slice(), &["--ops-adress".to_owned()]].concat();
        assert!(read(&misspelt).is_err(), "{service} takes a flag that there is not");
    }
}

/// A container of the image that is told nothing says what it can do.
#[test]
fn of_the_image_shows_the_help() {
    let dockerfile = file("Dockerfile");
    let words = |instruction: &str| -> Vec<String> {
        let list = dockerfile.lines().find_map(|line| line.strip_prefix(instruction)).unwrap();
        serde_json::from_str(list).unwrap()
    };
    assert_eq!(words("ENTRYPOINT "), ["tidemark"]);
    assert_eq!(read(&words("CMD ")).unwrap_err().kind(), ErrorKind::DisplayHelp);
}

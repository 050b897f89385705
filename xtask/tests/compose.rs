//! docker-compose.yml, as Compose itself reads it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};

use serde_json::Value;

use super::root;

/// The verbs of `tidemark` that containers run. The crate `client-cli` tests that each command line
/// parses: the program's own tests know its flags.
const VERBS: &[&str] = &["worker", "setup", "simulator", "monitor", "gateway", "list"];

/// `docker-compose` or `docker compose`; none if the machine has neither and that is no failure.
fn compose() -> Option<Command> {
    let succeeds = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let mut command = if succeeds("docker-compose", &["version"]) {
        Command::new("docker-compose")
    } else if succeeds("docker", &["compose", "version"]) {
        let mut command = Command::new("docker");
        command.arg("compose");
        command
    } else {
        let ci = std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
        assert!(!ci, "docker-compose is not there, and in CI it must be");
        eprintln!("skipped: docker-compose is not there");
        return None;
    };
    // An `.env` beside the file, or the shell, would answer for the person who starts it. The file
    // that is named instead has comments only.
    command.current_dir(root()).env_clear().envs(
        ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    command.args(["--env-file", "deploy/worker.env"]);
    Some(command)
}

fn config(environment: &[(&str, &str)], arguments: &[&str]) -> Option<Output> {
    let mut command = compose()?;
    command.args(arguments).arg("config").envs(environment.iter().copied());
    Some(command.output().unwrap())
}

/// All services of all profiles.
fn services() -> Option<serde_json::Map<String, Value>> {
    let profiles = ["demo", "cli", "gateway"].map(|profile| ["--profile", profile]).concat();
    let output = config(&[("POSTGRES_PASSWORD", "sesame")], &profiles)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config: Value = serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
    Some(config.get("services").and_then(Value::as_object).expect("there are services").clone())
}

fn words(service: &Value, key: &str) -> Vec<String> {
    let list = service.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether the image is built from this repository.
fn is_ours(service: &Value) -> bool {
    service.get("build").is_some()
}

#[test]
fn refuses_to_start_without_a_password() {
    for environment in [&[][..], &[("POSTGRES_PASSWORD", "")]] {
        let Some(output) = config(environment, &[]) else { return };
        assert!(!output.status.success());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("set POSTGRES_PASSWORD in the environment"), "{stderr}");
    }
}

#[test]
fn has_no_password_of_its_own() {
    let Some(services) = services() else { return };
    for (name, service) in &services {
        let environment = service.get("environment").and_then(Value::as_object);
        for (variable, value) in environment.into_iter().flatten() {
            let secret = ["PASSWORD", "PWD", "SECRET", "ACCESS_KEY"];
            if secret.iter().any(|word| variable.contains(word)) {
                let value = value.as_str().unwrap_or_default();
                assert!(["sesame", ""].contains(&value), "{name}: {variable} is written down");
            }
        }
    }
}

#[test]
fn runs_known_verbs() {
    let Some(services) = services() else { return };
    let ours: Vec<_> = services.iter().filter(|(_, service)| is_ours(service)).collect();
    assert_eq!(ours.len(), 6, "cli, gateway, monitor, setup, simulator, worker");
    for (name, service) in ours {
        let command = words(service, "command");
        let verb = command.first().unwrap_or_else(|| panic!("{name} has no command"));
        assert!(VERBS.contains(&verb.as_str()), "{name} runs `tidemark {verb}`");
        assert_eq!(service.get("entrypoint"), None, "{name} runs the image's own program");
    }
}

#[test]
fn gives_no_rights_that_are_not_needed() {
    let Some(services) = services() else { return };
    for (name, service) in &services {
        assert_eq!(words(service, "cap_drop"), ["ALL"], "{name}");
        assert_eq!(words(service, "cap_add"), [""; 0], "{name}");
        assert_eq!(words(service, "security_opt"), ["no-new-privileges:true"], "{name}");
        assert_eq!(service.get("privileged"), None, "{name}");
        if is_ours(service) {
            assert_eq!(service.get("read_only"), Some(&Value::Bool(true)), "{name}");
        }
    }
}

/// `/tmp` is memory there: whoever compares lists spills to a disk.
#[test]
fn spills_to_a_disk() {
    let Some(services) = services() else { return };
    for name in ["worker", "cli"] {
        let service = services.get(name).unwrap();
        let folder = service.pointer("/environment/TIDEMARK_SPILL_FOLDER").and_then(Value::as_str);
        let folder = folder.unwrap_or_else(|| panic!("{name} has no spill folder"));
        let volumes = service.get("volumes").and_then(Value::as_array).unwrap();
        let mounted = volumes.iter().any(|volume| match volume.as_str() {
            // Before its second version, Compose leaves the short form as it is.
            Some(short) => short == format!("spill:{folder}:rw"),
            None => {
                let text = |key: &str| volume.get(key).and_then(Value::as_str);
                (text("source"), text("target")) == (Some("spill"), Some(folder))
            }
        });
        assert!(mounted, "{name}: {volumes:?}");
    }
}

/// What starts after what; a service that others wait for to be healthy must say when it is.
#[test]
fn starts_in_order() {
    let Some(services) = services() else { return };
    let condition = |service: &str, needs: &str| {
        let pointer = format!("/depends_on/{needs}/condition");
        services.get(service)?.pointer(&pointer)?.as_str().map(str::to_owned)
    };
    for (service, needs, expected) in [
        ("temporal-schema", "postgres", "service_healthy"),
        ("temporal", "temporal-schema", "service_completed_successfully"),
        ("temporal-namespace", "temporal", "service_healthy"),
        ("setup", "temporal-namespace", "service_completed_successfully"),
        ("worker", "setup", "service_completed_successfully"),
        ("gateway", "setup", "service_completed_successfully"),
        ("monitor", "setup", "service_completed_successfully"),
    ] {
        assert_eq!(condition(service, needs).as_deref(), Some(expected), "{service} after {needs}");
    }
    for name in ["postgres", "temporal", "worker", "monitor", "gateway", "simulator"] {
        assert!(services.get(name).unwrap().get("healthcheck").is_some(), "{name}");
    }
}

/// The demo's service is not started by a plain `up`.
#[test]
fn demo_is_a_profile() {
    let Some(services) = services() else { return };
    assert_eq!(words(services.get("simulator").unwrap(), "profiles"), ["demo"]);
    assert_eq!(words(services.get("gateway").unwrap(), "profiles"), ["gateway"]);
    assert_eq!(words(services.get("worker").unwrap(), "profiles"), [""; 0]);
}

/// The health checks, run as the container would, against an answer of ours.
#[test]
fn health_checks_read_the_status() {
    let Some(services) = services() else { return };
    for (name, port) in [("worker", "8610"), ("gateway", "8621"), ("monitor", "8630")] {
        let service = services.get(name).unwrap();
        let command = words(service, "command");
        let ops = command.iter().position(|word| word == "--ops-address").unwrap();
        assert_eq!(command[ops + 1], format!("0.0.0.0:{port}"), "{name}");
        health_check_reads_the_status(service, port);
    }
}

/// The simulator has no door for operators: it is well once it listens.
#[test]
fn the_simulators_health_check_sees_that_it_listens() {
    let Some(services) = services() else { return };
    let simulator = services.get("simulator").unwrap();
    assert_eq!(words(simulator, "command"), ["simulator", "--listen", "0.0.0.0:8600"]);
    let succeeds = health_check(simulator, "8600");
    let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(succeeds(open.local_addr().unwrap().port()), "somebody listens");
    assert!(!succeeds(closed_port()), "nobody listens");
}

/// The health check of a service, to be run at another port than its own.
fn health_check(service: &Value, own_port: &str) -> impl Fn(u16) -> bool {
    let test = words(service.get("healthcheck").unwrap(), "test");
    let [kind, shell, flag, script] = test.as_slice() else { panic!("{test:?}") };
    assert_eq!([kind, shell, flag], ["CMD", "bash", "-c"]);
    // Compose writes `$$` for a dollar sign that is not its own.
    let script = script.replace("$$", "$");
    let own_port = format!("/{own_port}");
    assert!(script.contains(&own_port), "{script}");
    move |port| {
        let script = script.replace(&own_port, &format!("/{port}"));
        Command::new("bash").args(["-c", &script]).output().unwrap().status.success()
    }
}

/// A port of this machine at which nobody listens.
fn closed_port() -> u16 {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    closed.local_addr().unwrap().port()
}

fn health_check_reads_the_status(service: &Value, ops_port: &str) {
    let succeeds = health_check(service, ops_port);
    for (status, expected) in [("200 OK", true), ("503 Service Unavailable", false)] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
            stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes()).unwrap();
            request
        });
        assert_eq!(succeeds(port), expected, "{status}");
        assert_eq!(server.join().unwrap(), "GET /healthz HTTP/1.0\r\n");
    }

    assert!(!succeeds(closed_port()), "nobody listens");
}

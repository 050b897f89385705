//! The gateway as a process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::assert_answer;
use crate::call::Place;

const TOKEN: &str = "0123456789abcdef-reports";

fn place(secret: &str) -> Place {
    let place = Place::new().with_store().claimed().with("REPORTS", TOKEN);
    place.file("gateway.toml", &format!("[[token]]\nsecret = '{secret}'\naccounts = ['acme']"));
    place
}

const ARGS: [&str; 5] = ["gateway", "--config", "gateway.toml", "--listen", "127.0.0.1:0"];

#[test]
fn it_answers_and_ends_when_it_is_asked_to() {
    let place = place("env:REPORTS");
    let mut command = place.command(ARGS.iter().chain(&["--log", "error"]));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut gateway = command.spawn().unwrap();
    let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines();
    let said = lines.next().unwrap().unwrap();
    let address = said.strip_prefix("gateway at http://").unwrap_or_else(|| panic!("{said}"));

    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v1/freshness/acme?max_age=1h HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");

    let told = Command::new("kill").arg(gateway.id().to_string()).status().unwrap();
    assert!(told.success());
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
    assert_eq!(lines.count(), 0, "nothing went wrong");
}

#[test]
fn its_log_in_a_pipe_has_no_colours() {
    let place = place("env:REPORTS");
    let mut gateway = place
        .command(ARGS)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines().map(Result::unwrap);
    let serves = lines.find(|line| line.contains("gateway serves"));
    gateway.kill().unwrap();
    gateway.wait().unwrap();

    let serves = serves.expect("its log says when it serves");
    assert!(serves.contains(" INFO "), "{serves}");
    assert!(!serves.contains('\u{1b}'), "{serves:?}");
}

#[test]
fn what_it_does_not_start_with() {
    let literal = "a-secret-in-the-file";
    let other = place("env:REPORTS").with("TEMPORAL_NAMESPACE", "staging");
    let unset = Place::new().with_store().claimed();
    let cases = [
        ("no_store", Place::new(), 2, &["gateway"][..]),
        ("no_token", unset, 2, &["gateway"][..]),
        ("literal", place(literal), 2, &ARGS[..]),
        ("unset", place("env:NOT_SET"), 2, &ARGS[..]),
        ("of_another_namespace", other, 1, &ARGS[..]),
    ];
    for (name, place, code, args) in cases {
        let answer = place.call(args);
        assert_eq!(answer.code, code, "{name}: {answer}");
        assert!(!answer.to_string().contains(literal), "{answer}");
        assert_answer!(format!("gateway_{name}"), answer);
    }
}

//! Colours, pipes, and what goes where.

use std::process::Stdio;

use crate::call::Place;

#[test]
fn colours_are_left_out_where_nobody_sees_them() {
    let piped = Place::new().call(["list"]);
    let asked = Place::new().with("CLICOLOR_FORCE", "1").call(["list"]);
    let refused = Place::new().with("CLICOLOR_FORCE", "1").with("NO_COLOR", "1").call(["list"]);
    let coloured = |text: &str| text.contains('\u{1b}');
    assert!(!coloured(&piped.stderr), "{piped}");
    assert!(coloured(&asked.stderr), "{asked}");
    assert!(!coloured(&refused.stderr), "{refused}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    // The reader is gone before the first byte is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for args in [["completions", "bash"].as_slice(), &["--help"]] {
        let status = Place::new()
            .command(args)
            .stdout(writer.try_clone().unwrap())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn the_version_is_data() {
    let answer = Place::new().call(["--version"]);
    assert_eq!(answer.code, 0);
    assert_eq!(answer.stdout, concat!("tidemark ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(answer.stderr, "");
}

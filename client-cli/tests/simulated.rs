//! `check` and `new` against both ends of a connection, simulated.

use tidemark_simulator::{Mutation, Simulator};
use tokio::runtime::Runtime;

use crate::assert_answer;
use crate::call::{Answer, Place};
use crate::definitions::GOOD;

/// Both ends, served for as long as this lives.
struct Ends {
    runtime: Runtime,
    simulator: Simulator,
}

impl Ends {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let simulator = runtime.block_on(Simulator::start("127.0.0.1:0".parse().unwrap())).unwrap();
        let world = simulator.world();
        world.add_account("demo-us1");
        world.add_list("demo-us1", "a1b2c3", "Weekly News").unwrap();
        world.add_list("demo-us1", "d4e5f6", "Weekly News").unwrap();
        world.mutate("a1b2c3", &Mutation::add("ada@example.com", "Ada", "Lovelace")).unwrap();
        world.add_destination("record-key");
        Self { runtime, simulator }
    }

    fn place(&self) -> Place {
        Place::new().with("ACME_KEY", "demo-us1").with("RECORD_KEY", "record-key")
    }

    fn definition(&self) -> String {
        let url = self.simulator.url();
        let source = format!("list_id = \"a1b2c3\"\nbase_url = \"{url}\"");
        GOOD.replace("list_id = \"a1b2c3\"", &source).replace("https://data.example", &url)
    }

    fn check(&self, place: &Place, definition: &str, args: &[&str]) -> Answer {
        place.file("a.toml", definition);
        place.call(["check", "a.toml"].iter().chain(args))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        drop(self.runtime.enter());
    }
}

#[test]
fn a_check_masks_what_it_shows() {
    let ends = Ends::new();
    let masked = ends.check(&ends.place(), &ends.definition(), &[]);
    assert_eq!(masked.code, 0, "{masked}");
    assert!(!masked.to_string().contains("ada@example.com"), "{masked}");
    assert!(masked.stdout.contains("xxx@xxxxxxx.xxx"), "{masked}");
    let shown = ends.check(&ends.place(), &ends.definition(), &["--values"]);
    assert!(shown.stdout.contains("ada@example.com"), "{shown}");
}

#[test]
fn a_check_as_json() {
    let ends = Ends::new();
    let answer = ends.check(&ends.place(), &ends.definition(), &["-o", "json"]);
    let checked: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(checked[0]["ok"], true, "{answer}");
    assert_eq!(checked[0]["source"]["name"], "Weekly News");
    assert_eq!(checked[0]["source"]["row_total"], 1);
}

#[test]
fn what_would_not_work_is_told_with_the_next_step() {
    let ends = Ends::new();
    let definition = ends.definition();
    let cases = [
        ("wrong_key", ends.place().with("ACME_KEY", "wrong-us1"), definition.clone()),
        ("wrong_record_key", ends.place().with("RECORD_KEY", "wrong"), definition.clone()),
        ("unknown_list", ends.place(), definition.replace("a1b2c3", "nothere")),
        ("unknown_path", ends.place(), definition.replace("\"email_address\"", "\"email_adress\"")),
    ];
    for (name, place, definition) in cases {
        let answer = ends.check(&place, &definition, &[]);
        assert_eq!(answer.code, 1, "{name}: {answer}");
        assert_answer!(format!("check_{name}"), answer);
    }
}

#[test]
fn one_of_two_that_would_not_work() {
    let ends = Ends::new();
    let other = ends.definition().replace("acme/news", "acme/other").replace("a1b2c3", "nothere");
    let answer = ends.check(&ends.place(), &(ends.definition() + &other), &["-o", "name"]);
    assert_eq!(answer.code, 7, "{answer}");
    assert_eq!(answer.stdout, "acme/news\nacme/other\n");
}

#[test]
fn new_definitions_are_what_check_takes() {
    let ends = Ends::new();
    let url = ends.simulator.url();
    let place = ends.place();
    let new = place.call([
        "new",
        "mailchimp",
        "--api-key",
        "env:ACME_KEY",
        "--account",
        "acme",
        "--base-url",
        &url,
    ]);
    assert_eq!(new.code, 0, "{new}");
    assert_answer!("new_mailchimp", new);
    let checked = place.call_with(["check", "--offline", "-o", "name", "-"], &new.stdout);
    assert_eq!(checked.stdout, "acme/weekly-news\nacme/weekly-news-d4e5f6\n", "{checked}");
}

#[test]
fn new_with_a_key_that_is_refused() {
    let ends = Ends::new();
    let url = ends.simulator.url();
    let place = ends.place().with("ACME_KEY", "wrong-us1");
    let answer = place.call(["new", "mailchimp", "--api-key", "env:ACME_KEY", "--base-url", &url]);
    assert_eq!(answer.code, 1, "{answer}");
    assert_answer!("new_wrong_key", answer);
    let unset = Place::new().call(["new", "mailchimp", "--api-key", "env:NOT_SET"]);
    assert_answer!("new_unset_variable", unset);
}

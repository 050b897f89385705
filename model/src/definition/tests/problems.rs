//! Every message that a bad definition gets.

use super::*;
use crate::definition::section::KEYS;

/// The problems of [`SHORT`] after each of some edits.
fn after(edits: &[(&str, &str)]) -> String {
    let told: Vec<String> = edits
        .iter()
        .map(|(piece, replacement)| {
            format!("# {replacement}\n{}", problems(&short_with(piece, replacement)))
        })
        .collect();
    told.join("\n\n")
}

#[test]
fn an_empty_connection_names_all_that_is_missing() {
    insta::assert_snapshot!(problems("[[connection]]\n"));
}

#[test]
fn files_without_a_connection() {
    insta::assert_snapshot!(
        ["", "connection = []", "[connection]\nid = \"a/b\"", "connection = [1]", "[conection]"]
            .map(problems)
            .join("\n\n")
    );
}

#[test]
fn syntax() {
    insta::assert_snapshot!(
        [
            "[[connection]]\nid = acme\nevery = \"1h\"\nevery = \"2h\"\n[connection.source\n",
            "[[connection]]\napi_key = \"sk-live-123\nid = 1\n",
            "[[connection]]\n[connection.source]\napi_key = sk-live-123\n",
            "\u{0}",
        ]
        .map(problems)
        .join("\n\n")
    );
}

#[test]
fn ids() {
    insta::assert_snapshot!(after(&[
        ("\"acme/newsletter\"", "\"newsletter\""),
        ("\"acme/newsletter\"", "\"Acme/newsletter\""),
        ("\"acme/newsletter\"", "\"\""),
        ("\"acme/newsletter\"", "7"),
    ]));
    assert!(
        problems(&short_with("acme/newsletter", &format!("a/{}", "b".repeat(200))))
            .contains("has 202 bytes, and at most 170 are allowed")
    );
}

#[test]
fn schedules() {
    insta::assert_snapshot!(after(&[
        ("every = \"1h\"", "every = \"59s\""),
        ("every = \"1h\"", "every = \"90s 1ms\""),
        ("every = \"1h\"", "every = \"hourly\""),
        ("every = \"1h\"", "every = 60"),
        ("every = \"1h\"", "every = \"1h\"\nmax_lag = \"89m\""),
        ("every = \"1h\"", "every = \"1h\"\ncron = \"0 * * * *\"\ntimezone = \"UTC\""),
        ("every = \"1h\"", "every = \"1h\"\ntimezone = \"UTC\""),
        ("every = \"1h\"", "cron = \"0 * * * *\""),
        ("every = \"1h\"", "cron = \"@hourly\"\ntimezone = \"UTC\""),
        ("every = \"1h\"", "cron = \"0 25 * * *\"\ntimezone = \"UTC\""),
        ("every = \"1h\"", "cron = \"0 7 * * *\"\ntimezone = \"Europe/Berlim\""),
        ("every = \"1h\"", "cron = \"0 9 * * 1-5\"\ntimezone = \"UTC\"\nmax_lag = \"3d\""),
        ("every = \"1h\"", "timezone = \"UTC\""),
        ("every = \"1h\"", "cron = \"daily\"\ntimezone = \"Mars\"\nmax_lag = \"soon\""),
        ("every = \"1h\"", "cron = \"0 0 31 2 *\"\ntimezone = \"UTC\""),
    ]));
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(after(&[
        ("every = \"1h\"", "every = \"1h\"\nmaxlag = \"3h\""),
        ("every = \"1h\"", "every = \"1h\"\nhold_deletions = { over = 100 }"),
        ("list_id", "listid"),
        ("list_id", "\"list\\nid\""),
        ("url", "uri"),
        ("{ tombstone = \"deleted\" }", "{ tombstone = \"deleted\", path = \"/\" }"),
        ("deletions", "deletes"),
        ("[[connection]]", "[default]\n[[connection]]"),
    ]));
}

/// A key under the wrong header is told where it belongs; that table must not grow old.
#[test]
fn keys_belong_where_the_hints_say() {
    for (header, keys) in KEYS {
        let table = match *header {
            "[[connection]]" => "",
            "[connection.source]" => "[connection.source]\nkind = \"mailchimp\"\n",
            "[connection.destination]" => "[connection.destination]\nkind = \"record-api\"\n",
            other => other,
        };
        for key in *keys {
            let told = problems(&format!("[[connection]]\n{table}\n{key} = \"?\"\n"));
            assert!(!told.contains("is unknown"), "{header}: {told}");
        }
    }
    let misplaced = short_with("[connection.source]", "deletions = \"keep\"\n[connection.source]");
    assert!(problems(&misplaced).contains("hint: it belongs under [connection.policy]"));
}

#[test]
fn sources() {
    insta::assert_snapshot!(after(&[
        ("\"mailchimp\"", "\"mailchip\""),
        ("\"a1b2c3\"", "\"../other\""),
        ("\"a1b2c3\"", "\"a1b2c3\"\nstatuses = [\"subcribed\"]"),
        ("\"a1b2c3\"", "\"a1b2c3\"\nstatuses = [\"archived\"]"),
        ("\"a1b2c3\"", "\"a1b2c3\"\nstatuses = [\"pending\", \"pending\"]"),
        ("\"a1b2c3\"", "\"a1b2c3\"\nstatuses = []"),
        ("\"a1b2c3\"", "\"a1b2c3\"\nstatuses = \"pending\""),
        ("\"a1b2c3\"", "\"a1b2c3\"\nbase_url = \"ftp://localhost\""),
        ("\"a1b2c3\"", "\"a1b2c3\"\nsettle = \"61m\""),
        ("\"a1b2c3\"", "\"a1b2c3\"\npage_size = 1001"),
        ("\"a1b2c3\"", "\"a1b2c3\"\npage_size = \"1000\""),
        ("\"a1b2c3\"", "\"a1b2c3\"\nsimultaneous_requests = 0"),
        ("\"a1b2c3\"", "\"a1b2c3\"\nrequest_timeout = 2026-11-21"),
    ]));
}

#[test]
fn a_word_that_is_no_kind_hides_nothing_else() {
    let told = problems(&short_with(
        "kind = \"mailchimp\"\napi_key = \"env:ACME_MAILCHIMP_KEY\"",
        "kind = \"mailchip\"\nlist = \"a1b2c3\"",
    ));
    for problem in [
        "`source.kind` has to be `mailchimp`",
        "`source.list` is unknown",
        "`source.api_key` is missing",
    ] {
        assert!(told.contains(problem), "{told}");
    }
    let told = problems(&short_with("kind = \"record-api\"", "kin = \"record-api\""));
    for problem in ["`destination.kind` is missing", "`destination.kin` is unknown"] {
        assert!(told.contains(problem), "{told}");
    }
}

#[test]
fn each_word_of_a_list_is_judged() {
    let told = problems(&short_with(
        "\"a1b2c3\"",
        "\"a1b2c3\"\nstatuses = [\"archived\", \"subscribd\", \"pending\", \"pending\"]",
    ));
    for problem in ["names `archived`", "did you mean `subscribed`?", "names something twice"] {
        assert!(told.contains(problem), "{told}");
    }
}

#[test]
fn destinations() {
    let delete = "{ tombstone = \"deleted\" }";
    insta::assert_snapshot!(after(&[
        ("\"record-api\"", "\"postgres\""),
        ("\"https://data.internal/record\"", "\"data.internal/record\""),
        ("\"https://data.internal/record\"", "\"s3://data.internal/record\""),
        ("\"https://data.internal/record\"", "\"https://data.internal/record?a=b\""),
        ("\"https://data.internal/record\"", "true"),
        (delete, "{ tombstone = \"email\" }"),
        (delete, "{ tombstone = \"id\" }"),
        (delete, "{ tombstone = \"\" }"),
        (delete, "{ method = \"DELETE\", path = \"/record\" }"),
        (delete, "{ method = \"DELETE\", path = \"record/{id}\" }"),
        (delete, "{ method = \"DELETE\", path = \"/{list}/{id}\" }"),
        (delete, "{ method = \"DELETE\", path = \"/record?id={id}\" }"),
        (delete, "{ method = \"POST\", path = \"/record/{id}\" }"),
        (delete, "{}"),
        (delete, "\"DELETE\""),
        (delete, "{ tombstone = \"deleted\" }\nheader = \"X Key\""),
        (delete, "{ tombstone = \"deleted\" }\nbatch_bytes = \"four\""),
        (delete, "{ tombstone = \"deleted\" }\nbatch_bytes = 4096"),
        (delete, "{ tombstone = \"deleted\" }\nbatch_bytes = \"1 GiB\""),
        (delete, "{ tombstone = \"deleted\" }\nrejected_path = \"a..b\""),
    ]));
}

#[test]
fn records_and_policies() {
    insta::assert_snapshot!(after(&[
        ("\"email_address\"", "\"merge_fields.\""),
        ("\"email_address\"", "5"),
        ("email = ", "name.first = "),
        ("\"contact_id\"", "\"email_address\""),
        ("\"contact_id\"", "\"contact_id\"\nid_prefix = \"a\\nb\""),
        ("\"propagate\"", "\"propogate\""),
        ("\"propagate\"", "\"propagate\"\ninvalid_records = \"skip\""),
        ("\"propagate\"", "\"propagate\"\nrequired = [\"emial\", \"email\", \"phone\"]"),
        ("\"propagate\"", "\"propagate\"\nfail_rejected_over = 5"),
        ("\"propagate\"", "\"propagate\"\nfail_rejected_over = nan"),
        ("\"propagate\"", "\"propagate\"\nkeep_commits = -1"),
        ("\"propagate\"", "\"propagate\"\ndeadline = \"-1h\""),
        ("delete = { tombstone = \"deleted\" }", ""),
        ("every = \"1h\"", "every = \"1h\"\nid_scope = \"account\""),
        ("every = \"1h\"", "every = \"1h\"\nid_scope = \"acount\""),
    ]));
}

#[test]
fn one_go_over_all_files() {
    let files = [
        file("b.toml", &short_with("every = \"1h\"", "every = \"1s\"")),
        file("a.toml", SHORT),
        file("broken.toml", "[[connection]\n"),
        file("c.toml", &short_with("acme/newsletter", "globex/newsletter")),
    ];
    insta::assert_snapshot!(parse(&files, &[]).unwrap_err());
}

#[test]
fn connections_that_would_delete_each_others_records() {
    let stored = one(SHORT);
    let other = short_with("acme/newsletter", "globex/newsletter");
    let refused = |text: &str, stored: &[Definition]| {
        parse(&[file("test.toml", text)], stored).map_err(|problems| problems.to_string())
    };
    insta::assert_snapshot!(refused(&other, std::slice::from_ref(&stored)).unwrap_err());
    // Found although another key of each is wrong.
    let both = format!("{SHORT}{other}").replace("\"1h\"", "\"1s\"");
    assert!(refused(&both, &[]).unwrap_err().contains("would delete the records of"));
    // A slash at the end of the address is the same place.
    let slash = other.replace("/record\"", "/record/\"");
    assert!(refused(&slash, std::slice::from_ref(&stored)).is_err());
    // The stored definition of the same id is replaced.
    assert!(refused(SHORT, std::slice::from_ref(&stored)).is_ok());
    for apart in [
        ("\"propagate\"", "\"keep\""),
        ("env:RECORD_API_KEY", "env:OTHER_KEY"),
        ("data.internal", "data.example"),
        ("\"contact_id\"", "\"contact_id\"\nid_prefix = \"globex:\""),
    ] {
        let text = other.replace(apart.0, apart.1);
        assert!(refused(&text, std::slice::from_ref(&stored)).is_ok(), "{}", apart.1);
    }
}

/// Wherever a secret was written by mistake, nothing shows it.
#[test]
fn a_literal_secret_is_never_shown() {
    const SECRET: &str = "sk-live-123";
    let key = ("\"env:ACME_MAILCHIMP_KEY\"", "\"env:RECORD_API_KEY\"");
    let texts = [
        short_with(key.0, "\"sk-live-123\""),
        short_with(key.1, "\"sk-live-123\""),
        short_with(key.1, "\"env:sk-live-123\""),
        short_with(key.1, "[\"sk-live-123\"]"),
        short_with(key.1, "{ env = \"sk-live-123\" }"),
        short_with(key.1, "sk-live-123"),
        short_with(key.1, "\"sk-live-123"),
        short_with(key.1, "\"\"\"sk-live-123"),
        short_with("api_key = \"env:RECORD_API_KEY\"", "api-key = \"sk-live-123\""),
        short_with("https://data", "https://me:sk-live-123@data"),
        short_with("https://data", "https://sk-live-123@data"),
        short_with("internal/record", "internal/record?key=sk-live-123"),
        short_with("https://data.internal/record", "sk-live-123"),
        short_with("\"a1b2c3\"", "\"a1b2c3\"\nbase_url = \"https://x:sk-live-123@host\""),
        short_with("\"1h\"", "\"sk-live-123\""),
        short_with("\"propagate\"", "\"sk-live-123\""),
        short_with("\"acme/newsletter\"", "\"sk-live-123\""),
        // On one line with something else that is wrong.
        "connection = [{ source = { kin = \"mailchimp\", api_key = \"sk-live-123\" } }]".to_owned(),
    ];
    for text in &texts {
        let problems = parse_text(text).unwrap_err();
        let json = serde_json::to_string(&problems).unwrap();
        for shown in [problems.to_string(), format!("{problems:?}"), json] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
    insta::assert_snapshot!(
        [&texts[0], &texts[5], &texts[9], &texts[11]].map(|text| problems(text)).join("\n\n")
    );
}

/// The same for every value that a definition can hold, quoted, bare, and left open.
#[test]
fn no_value_is_ever_shown() {
    const SECRET: &str = "sk-live-123";
    let values: Vec<&str> = EVERYTHING.split('"').skip(1).step_by(2).collect();
    assert!(values.len() > 20);
    for value in values {
        let quoted = format!("\"{value}\"");
        for replacement in ["\"sk-live-123\"", "sk-live-123", "\"sk-live-123", "[\"sk-live-123\"]"]
        {
            let Err(problems) = parse_text(&EVERYTHING.replace(&quoted, replacement)) else {
                continue;
            };
            let json = serde_json::to_string(&problems).unwrap();
            for shown in [problems.to_string(), format!("{problems:?}"), json] {
                assert!(!shown.contains(SECRET), "{quoted}: {shown}");
            }
        }
    }
}

#[test]
fn problems_as_json() {
    let problems = parse_text(&short_with("list_id", "listid")).unwrap_err();
    insta::assert_snapshot!(serde_json::to_string_pretty(&problems).unwrap());
}

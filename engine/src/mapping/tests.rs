use proptest::prelude::*;
use serde_json::{Value, json};

use tidemark_model::row::NotText;

use super::*;

fn mapper() -> Mapper {
    picking(&["status", "contact_id", "merge_fields"])
}

fn picking(others: &[&str]) -> Mapper {
    Mapper::of(
        ("list:", "contact_id"),
        [("age", "merge_fields.AGE"), ("email", "email_address"), ("name", "merge_fields.FNAME")]
            .into_iter(),
        |field| field == "email",
        others,
    )
}

fn map(text: &str) -> Mapped {
    let mapper = mapper();
    mapper.map(text, &mut mapper.paths_seen())
}

fn record(id: &str, json: &str) -> Mapped {
    Mapped::Record { id: id.to_owned(), json: json.to_owned() }
}

fn invalid(text: &str) -> InvalidReason {
    match map(text) {
        Mapped::Invalid(reason) => reason,
        Mapped::Record { json, .. } => panic!("{text} became {json}"),
    }
}

#[test]
fn picks_nested_values_in_the_order_of_the_mapping() {
    let text = r#" {"merge_fields": {"FNAME": "Ada", "AGE": 36, "X": [1, {"a": 2}]},
        "email_address": "ada@example.org", "tags": [], "contact_id": "c1"} "#;
    let expected = r#"{"id":"list:c1","age":"36","email":"ada@example.org","name":"Ada"}"#;
    assert_eq!(map(text), record("list:c1", expected));
}

#[test]
fn missing_and_null_are_empty_and_scalars_are_their_json_text() {
    let text =
        r#"{"contact_id":17,"email_address":true,"merge_fields":{"AGE":1.50e3,"FNAME":null}}"#;
    assert_eq!(
        map(text),
        record("list:17", r#"{"id":"list:17","age":"1.50e3","email":"true","name":""}"#)
    );
    let text = r#"{"contact_id":"c","email_address":"e","merge_fields":"none"}"#;
    assert_eq!(map(text), record("list:c", r#"{"id":"list:c","age":"","email":"e","name":""}"#));
}

#[test]
fn escapes_are_canonical() {
    let text = r#"{"contact_id":"c\u0041\"","email_address":"\u00e9\/\n","merge_fields":{}}"#;
    let Mapped::Record { id, json } = map(text) else { panic!("invalid") };
    assert_eq!(id, r#"list:cA""#);
    assert_eq!(json, r#"{"id":"list:cA\"","age":"","email":"é/\n","name":""}"#);
}

#[test]
fn a_key_that_is_no_text_harms_nothing_but_what_it_names() {
    let text = r#"{"\ud800":{"\udc00":1},"contact_id":"c","email_address":"e","merge_fields":{"\ud800":1,"FNAME":"Ada"}}"#;
    let expected = r#"{"id":"list:c","age":"","email":"e","name":"Ada"}"#;
    assert_eq!(map(text), record("list:c", expected));
}

#[test]
fn what_no_type_holds_is_no_object() {
    let expected = record("list:c", r#"{"id":"list:c","age":"","email":"e","name":""}"#);
    for odd in ["1e999", "-1e999", r#""\ud800""#, "[1e999]", "7"] {
        let first = format!(r#"{{"merge_fields":{odd},"contact_id":"c","email_address":"e"}}"#);
        let last = format!(r#"{{"contact_id":"c","email_address":"e","merge_fields":{odd}}}"#);
        for text in [first, last] {
            // Wanted only in parts, and as a whole as well.
            for mapper in [picking(&[]), mapper()] {
                assert_eq!(mapper.map(&text, &mut mapper.paths_seen()), expected, "{text}");
            }
        }
    }
}

#[test]
fn what_cannot_become_a_record_is_invalid() {
    let empty = |field: &str, path: &str| InvalidReason::Empty {
        field: field.to_owned(),
        path: path.to_owned(),
    };
    let not_text = |path: &str, found| InvalidReason::NotText { path: path.to_owned(), found };
    assert_eq!(invalid(r#"{"email_address":"e"}"#), empty("id", "contact_id"));
    let no_email = empty("email", "email_address");
    assert_eq!(invalid(r#"{"contact_id":"c","email_address":""}"#), no_email);
    assert_eq!(invalid(r#"{"contact_id":"c","email_address":null}"#), no_email);
    assert_eq!(
        invalid(r#"{"contact_id":{},"email_address":"e"}"#),
        not_text("contact_id", NotText::Object)
    );
    assert_eq!(
        invalid(r#"{"contact_id":"c","email_address":"e","merge_fields":{"AGE":[1]}}"#),
        not_text("merge_fields.AGE", NotText::Array)
    );
    assert_eq!(invalid(r#"{"contact_id":"\ud800","email_address":"e"}"#), InvalidReason::NotUtf8);
    for text in
        ["", "{", "[]", "7", "\"x\"", "null", r#"{"contact_id":"c"}x"#, r#"{"contact_id":}"#]
    {
        assert_eq!(invalid(text), InvalidReason::NotJson, "{text}");
    }
    let long = "x".repeat(1024 * 1024 + 1);
    assert_eq!(
        invalid(&json!({"contact_id": "c", "email_address": long}).to_string()),
        InvalidReason::TooLong { path: "email_address".to_owned(), limit: FIELD_LIMIT }
    );
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let text = r#"{"contact_id":"a","contact_id":"b","email_address":"e"}"#;
    assert!(matches!(map(text), Mapped::Record { id, .. } if id == "list:b"));
}

#[test]
fn hands_out_other_values_as_they_stand() {
    let text = r#"{"contact_id": "c\n", "email_address": "", "merge_fields": {"AGE" : 1}}"#;
    let mapper = mapper();
    let mut picked = [Some("before"); 3];
    let mapped = mapper.pick(text, &mut mapper.paths_seen(), &mut picked);
    assert!(matches!(mapped, Mapped::Invalid(InvalidReason::Empty { .. })));
    assert_eq!(picked, [None, Some(r#""c\n""#), Some(r#"{"AGE" : 1}"#)]);
    let mapped = mapper.pick("no", &mut mapper.paths_seen(), &mut picked);
    assert_eq!((mapped, picked), (Mapped::Invalid(InvalidReason::NotJson), [None; 3]));
}

#[test]
fn a_path_may_lie_inside_another() {
    let mapper =
        Mapper::of(("", "id"), [("inner", "a.b"), ("outer", "a")].into_iter(), |_| false, &[]);
    let map = |text| mapper.map(text, &mut mapper.paths_seen());
    assert_eq!(
        map(r#"{"id":"1","a":"text"}"#),
        record("1", r#"{"id":"1","inner":"","outer":"text"}"#)
    );
    assert_eq!(
        map(r#"{"id":"1","a":{"b":"x"}}"#),
        Mapped::Invalid(InvalidReason::NotText { path: "a".to_owned(), found: NotText::Object })
    );
}

#[test]
fn names_the_nearest_of_unmatched_paths() {
    let mapper = Mapper::of(
        ("", "id"),
        [("a", "merge_fields.FNMAE"), ("b", "email"), ("c", "fname"), ("d", "zzz")].into_iter(),
        |_| false,
        &[],
    );
    let mut one = mapper.paths_seen();
    let mut other = mapper.paths_seen();
    drop(mapper.map(r#"{"id":"1","merge_fields":{"FNAME":"x","LNAME":"y"}}"#, &mut one));
    drop(mapper.map(r#"{"id":"1","email_address":"x"}"#, &mut other));
    one.merge(&other);
    let nearest = |path: &str, met: Option<&str>| (path.to_owned(), met.map(str::to_owned));
    assert_eq!(
        one.unmatched_with_nearest(),
        vec![
            nearest("merge_fields.FNMAE", Some("merge_fields.FNAME")),
            nearest("email", Some("email_address")),
            nearest("fname", Some("merge_fields.FNAME")),
            nearest("zzz", None),
        ]
    );
    drop(mapper.map(r#"{"email":null}"#, &mut one));
    assert_eq!(one.unmatched(), ["merge_fields.FNMAE", "fname", "zzz"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("contact_id".to_owned()),
        Just("email_address".to_owned()),
        Just("merge_fields".to_owned()),
        Just("FNAME".to_owned()),
        Just("AGE".to_owned()),
        any::<String>(),
    ];
    leaf.prop_recursive(3, 30, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// The rule, told by way of a tree.
fn by_tree(value: &Value) -> Option<(String, String)> {
    let text = |path: &[&str]| match path
        .iter()
        .try_fold(value, |value, key| value.as_object()?.get(*key))
    {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::Object(_) | Value::Array(_)) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    value.as_object()?;
    let id = text(&["contact_id"]).filter(|id| !id.is_empty())?;
    let age = text(&["merge_fields", "AGE"])?;
    let email = text(&["email_address"]).filter(|email| !email.is_empty())?;
    let name = text(&["merge_fields", "FNAME"])?;
    let id = format!("list:{id}");
    let json = json!({"id": id, "age": age, "email": email, "name": name}).to_string();
    Some((id, json))
}

proptest! {
    #[test]
    fn agrees_with_a_tree(value in any_json(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        match (map(&text), by_tree(&value)) {
            (Mapped::Record { id, json }, Some(expected)) => prop_assert_eq!((id, json), expected),
            (Mapped::Invalid(_), None) => {}
            (mapped, expected) => prop_assert!(false, "{:?} is not {:?}", mapped, expected),
        }
    }

    #[test]
    fn never_panics(text in any::<String>()) {
        drop(map(&text));
    }
}

//! `/v1/openapi.json` says what is answered.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::world::World;

/// The names of an object's members.
fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A schema by its name, or by a reference to it.
fn schema<'a>(document: &'a Value, name: &str) -> &'a Value {
    let name = name.rsplit('/').next().unwrap();
    &document["components"]["schemas"][name]
}

/// Compares an object with its schema: all that it has is described, all that is required is there.
fn fits(document: &Value, name: &str, object: &Value) {
    let schema = schema(document, name);
    assert_eq!(names(&schema["properties"]), names(object), "{name}");
    let required: BTreeSet<&str> =
        schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(required, names(object), "{name}");
}

#[tokio::test]
async fn it_needs_no_token_and_describes_the_answers() {
    let world = World::new().await;
    world.connect("acme/news").await;
    let answer = world.send(world.request(Method::GET, "/v1/openapi.json")).await;
    let document = answer.json();
    assert_eq!(
        names(&document["paths"]),
        BTreeSet::from(["/v1/freshness/{account}", "/v1/freshness/{account}/{connection}",])
    );
    let statuses = BTreeSet::from(["200", "400", "401", "403", "404", "503"]);
    for (path, item) in document["paths"].as_object().unwrap() {
        assert_eq!(names(&item["get"]["responses"]), statuses, "{path}");
        let names: Vec<&str> = item["get"]["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(names, ["max_age", "accept_exceptions"], "{path}");
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");

    let account = world.get("/v1/freshness/acme?max_age=1h").await.json();
    fits(&document, "AccountAnswer", &account);
    fits(&document, "ConnectionAnswer", &account["connections"][0]);
    fits(&document, "Exceptions", &account["exceptions"]);
    let refusal = world.get("/v1/freshness/acme").await.json();
    fits(&document, "Error", &refusal);
    world.end().await;
}

//! The least that a first sync can be: its pages fetched, its batches posted, nothing else.
//!
//! Pages are asked for by offset, eight at a time and with the fields that the connector asks for;
//! their bytes are read and dropped. Then batches that were made beforehand are posted four at a
//! time. Nothing is parsed, compared or kept, so that no program that does the job can be faster
//! than this by much.

use std::time::Instant;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, RequestBuilder};
use tidemark_simulator::World;

use crate::{
    definition::{BATCH_RECORDS, SOURCE_KEY},
    stage::Stage,
};

/// Pages under way at once.
const PAGES: usize = 8;
/// Batches under way at once.
const BATCHES: usize = 4;
/// Members of a page, the most that a list gives.
const PAGE_ROWS: usize = 1_000;

/// What the two halves took, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baseline {
    pub(crate) fetch: f64,
    pub(crate) post: f64,
}

impl Baseline {
    pub(crate) fn seconds(self) -> f64 {
        self.fetch + self.post
    }
}

/// The batches that a first sync of a list sends.
pub(crate) fn batches(world: &World, list: &str) -> anyhow::Result<Vec<String>> {
    let mut batches = Vec::new();
    let mut records: Vec<serde_json::Value> = Vec::with_capacity(BATCH_RECORDS);
    world.each_member(list, |member| {
        records.push(serde_json::json!({
            "id": format!("baseline:{}", member.contact_id()),
            "firstname": member.merge_field("FNAME"),
            "lastname": member.merge_field("LNAME"),
            "email": member.email(),
            "deleted": false,
        }));
        if records.len() == BATCH_RECORDS {
            batches.push(serde_json::Value::from(std::mem::take(&mut records)).to_string());
        }
    })?;
    if !records.is_empty() {
        batches.push(serde_json::Value::from(records).to_string());
    }
    Ok(batches)
}

/// Fetches and posts, into a space of records that is new and goes away after.
pub(crate) async fn measure(
    stage: &Stage,
    list: &str,
    fields: &str,
    batches: &[String],
) -> anyhow::Result<Baseline> {
    const SPACE: &str = "bench-baseline";
    let world = stage.world();
    let rows = world.member_count(list)?;
    let http = Client::builder().build().context("no HTTP client")?;
    let members = format!("{}/3.0/lists/{list}/members", stage.url());
    let records = format!("{}/record", stage.url());
    world.add_destination(SPACE);

    let began = Instant::now();
    let requests = (0..rows.div_ceil(PAGE_ROWS)).map(|page| {
        let offset = page * PAGE_ROWS;
        let address = format!(
            "{members}?count={PAGE_ROWS}&offset={offset}&sort_field=last_changed&sort_dir=ASC\
             &fields={fields}"
        );
        http.get(address).basic_auth("bench", Some(SOURCE_KEY))
    });
    stream::iter(requests).map(sent).buffer_unordered(PAGES).try_collect::<()>().await?;
    let fetch = began.elapsed().as_secs_f64();

    let began = Instant::now();
    // The bodies are copied beforehand by whoever has them in hand; here that is part of it.
    let requests = batches.iter().map(|batch| {
        http.post(&records)
            .header("Authorisation", SPACE)
            .header("Content-Type", "application/json")
            .body(batch.clone())
    });
    stream::iter(requests).map(sent).buffer_unordered(BATCHES).try_collect::<()>().await?;
    let post = began.elapsed().as_secs_f64();

    anyhow::ensure!(world.record_count(SPACE)? == rows, "the baseline did not post every record");
    world.remove_destination(SPACE);
    Ok(Baseline { fetch, post })
}

/// One request, its answer read to the end.
async fn sent(request: RequestBuilder) -> anyhow::Result<()> {
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

//! Looking at a list before anything is read: does the key work, is the list there, does the
//! mapping fit.

use serde_json::{Map, Value};
use tidemark_engine::{mapping::InvalidReasons, port::Clock};
use tidemark_model::{
    check::{SampleRecord, SourceCheck},
    failure::Failure,
    row::{Row, RowState},
};

use super::{client::Client, listing::Listing, refusal::unreadable, rows::Mapping};

/// How many records are shown.
const SAMPLES: usize = 3;

/// Asks for the list and maps its newest members, whole, so that a path that does not exist can be
/// compared with those that do.
pub(super) async fn check(
    client: &Client,
    mapping: &Mapping,
    page_size: u32,
    clock: &dyn Clock,
) -> Result<SourceCheck, Failure> {
    let (list, mut cost) = client.list(clock).await?;
    let answer = client.whole_members(&Listing::newest(page_size), clock).await?;
    cost.add(answer.cost());
    let page = mapping.page(answer.body()).map_err(|malformed| unreadable(&malformed))?;
    let invalid = page.rows.iter().filter(|row| row.state == RowState::Invalid);
    let reasons: InvalidReasons =
        page.rows.iter().filter_map(|row| row.invalid.as_deref()).collect();
    Ok(SourceCheck {
        name: list.name,
        row_total: page.total,
        invalid_count: invalid.count() as u64,
        invalid_reasons: reasons.most_frequent(),
        samples: page.rows.iter().filter_map(sample).take(SAMPLES).collect(),
        // Of a list without members nothing is known.
        unmatched_paths: if page.rows.is_empty() {
            Vec::new()
        } else {
            page.seen.unmatched_with_nearest()
        },
        cost,
    })
}

fn sample(row: &Row) -> Option<SampleRecord> {
    let record: Map<String, Value> = serde_json::from_str(&row.record).ok()?;
    let fields = record.into_iter().map(|(name, value)| {
        let text = value.as_str().unwrap_or_default().to_owned();
        (name, text)
    });
    Some(SampleRecord { fields: fields.collect() })
}

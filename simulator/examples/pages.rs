//! Prints how long a page of a large list takes over HTTP: what the simulator itself costs.
//!
//! `cargo run --release -p tidemark-simulator --example pages [members]`

use std::{error::Error, time::Instant};

use tidemark_simulator::{Ledger, Seed, Simulator, World};

const KEY: &str = "some-key-us1";
const TRIMMED: &str = "fields=total_items,members.id,members.contact_id,members.email_address,\
                       members.full_name,members.status,members.merge_fields,members.last_changed";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the timings are what it is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let count = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).await?;
    let world = simulator.world();
    world.add_account(KEY);
    world.add_list(KEY, "list", "A large list")?;
    let started = Instant::now();
    world.seed("list", &Seed::of(count))?;
    println!("{:<44} {:>9.1?}", format!("{count} members seeded"), started.elapsed());

    let now = world.now();
    let middle = jiff::Timestamp::from_second(now - 15 * 24 * 3_600)?;
    let late = jiff::Timestamp::from_second(now - 3_600)?;
    for (name, query) in [
        (
            "newest 1,000, trimmed",
            format!("sort_field=last_changed&sort_dir=DESC&count=1000&{TRIMMED}"),
        ),
        (
            "1,000 in the middle, trimmed",
            format!("sort_field=last_changed&since_last_changed={middle}&count=1000&{TRIMMED}"),
        ),
        (
            "default order, deep offset, trimmed",
            format!("offset={}&count=1000&{TRIMMED}", count / 2),
        ),
        ("newest 1,000, complete", "sort_field=last_changed&sort_dir=DESC&count=1000".to_owned()),
        (
            "count of half the list",
            format!("before_last_changed={middle}&count=1&fields=total_items"),
        ),
        (
            "count of all but an hour",
            format!("before_last_changed={late}&count=1&fields=total_items"),
        ),
        ("count of the archived", "status=archived&count=1&fields=total_items".to_owned()),
    ] {
        let url = format!("{}/3.0/lists/list/members?{query}", simulator.url());
        println!("{name:<44} {}", measured(world, &url).await?);
    }
    simulator.shutdown().await;
    Ok(())
}

/// Asks fifty times, one after the other.
async fn measured(world: &World, url: &str) -> Result<String, Box<dyn Error>> {
    let client = reqwest::Client::new();
    world.reset_ledger();
    let started = Instant::now();
    for _ in 0..50 {
        client.get(url).bearer_auth(KEY).send().await?.error_for_status()?.bytes().await?;
    }
    let round_trip = started.elapsed() / 50;
    let Ledger { calls, source, .. } = world.ledger();
    let mut durations: Vec<_> = calls.iter().map(|call| call.duration).collect();
    durations.sort_unstable();
    let median = durations.get(durations.len() / 2).copied().unwrap_or_default();
    let bytes = source.bytes_out / 50;
    Ok(format!("{median:>9.1?} in the server, {round_trip:>9.1?} with the client, {bytes} bytes"))
}

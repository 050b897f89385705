//! A month of thousands of connections against the rules of the lag watch, under a simulated clock:
//! slow sources, rate limits, deploys, outages of everything, clocks that differ, visibility that
//! lies. `cargo xtask year` runs it.
//!
//! What truly was late is known, so false, missed and repeated notices are counted.

mod case;
mod connection;
mod deadline;
mod defect;
mod guard;
mod outage;
mod plan;
mod script;
mod sight;
mod span;
mod tally;
#[cfg(test)]
mod tests;
mod truth;
mod world;

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use clap::Parser;

use crate::defect::Defect;
use crate::guard::{Guard, PASS};
use crate::script::{Script, Size};
use crate::tally::{Counts, Tally};
use crate::world::World;

/// Counts false, missed and repeated notices of the lag watch over simulated months.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask year")]
struct Options {
    /// How many months, each drawn from a seed of its own
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    seeds: u64,
    /// The first seed; the others follow
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    first: u64,
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    connections: usize,
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    days: i64,
    /// How many months are simulated at the same time
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    threads: usize,
    /// A wrong rule, to see what it does
    #[arg(long, value_enum, default_value_t)]
    defect: Defect,
}

/// A month, and how many runs there were in it.
fn simulate(seed: u64, size: Size, defect: Defect) -> (Tally, u64) {
    let mut world = World::new(seed, Script::new(seed, size));
    let mut guard = Guard::new(seed, &world, defect);
    let mut at = 0;
    while at < world.script.end() {
        world.advance(at);
        let place = usize::try_from(at / PASS).unwrap_or_default();
        // Several watches take turns.
        guard.pass(place % world.script.watches.len(), at, &mut world);
        at += PASS;
    }
    outage::count_outages(&guard, &mut world);
    world.truth.tally.memory_size = guard.memory_size;
    (world.truth.tally, world.run_count)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let size = Size { connections: options.connections, days: options.days };
    let seeds = Mutex::new(options.first..options.first + options.seeds);
    let months = Mutex::new((Tally::default(), 0));
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().expect("nobody panicked").next() else { break };
                    let begun_at = Instant::now();
                    let (tally, runs) = simulate(seed, size, options.defect);
                    let seconds = begun_at.elapsed().as_secs_f64();
                    let mut months = months.lock().expect("nobody panicked");
                    let verdict = if tally.flawless() { "ok" } else { "WRONG" };
                    let notices = tally.notices;
                    say(&format!(
                        "seed {seed}: {verdict}, {runs} runs, {notices} notices, {seconds:.1} s"
                    ));
                    tally.wrong.iter().for_each(|wrong| say(&format!("  {wrong}")));
                    months.0.add(&tally);
                    months.1 += runs;
                }
            });
        }
    });
    let (all, run_count) = months.into_inner().expect("nobody panicked");
    report(&all, &options, run_count);
    if all.flawless() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(all: &Tally, options: &Options, run_count: u64) {
    let Options { seeds, connections, days, .. } = options;
    say(&format!(
        "{seeds} seeds, {connections} connections, {days} days: {run_count} runs, {} notices, \
         {} bytes to remember at most",
        all.notices, all.memory_size
    ));
    say("kind         cases     told  false missed  twice unclosed  latest  latest by audit");
    let line = |name: &str, counts: &Counts| {
        say(&format!(
            "{name:<10} {:>7} {:>8} {:>6} {:>6} {:>6} {:>8} {:>5} s {:>5} s",
            counts.cases,
            counts.told,
            counts.lies,
            counts.missed,
            counts.twice,
            counts.unclosed,
            counts.latest,
            counts.latest_audited,
        ));
    };
    for (kind, counts) in &all.kinds {
        line(kind.as_str(), counts);
    }
    line("outage", &all.outages);
}

#[expect(clippy::print_stdout, reason = "its report is its output")]
fn say(line: &str) {
    println!("{line}");
}

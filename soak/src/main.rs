//! `cargo xtask soak`: plays seeds, and proves with switched-off rules that it would notice.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use tidemark_model::defect::Defect;
use tidemark_soak::{
    Played, Tally,
    hunt::{Hunt, hunt},
    play, tell_panics_with_their_seeds,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// At least so many of a hundred runs must end green, or nothing is proven.
const GREEN_SHARE: u64 = 33;

/// Of the seeds that can show it, one in several hundred shows what a rare rule is for: so many
/// times as many seeds are played for it.
const RARE: u64 = 5;

/// A seeded simulation of the whole engine.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Options {
    /// How many seeds to play; with --defects, at most so many for each defect, and five times as
    /// many for the rare ones
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    first: u64,
    /// Plays one seed
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Prints the event log of the one seed
    #[arg(long, requires = "seed")]
    log: bool,
    /// Switches rules off, one at a time: each must be noticed
    #[arg(long)]
    defects: bool,
    /// Switches one rule off, by its name in docs/soak.md
    #[arg(long, value_name = "NAME", value_parser = defect)]
    without: Option<Defect>,
    /// Ends after so many minutes, whatever is left
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u64>,
    #[arg(long, default_value_t = 2, value_name = "N")]
    threads: usize,
}

fn defect(name: &str) -> Result<Defect, String> {
    let known = |defect: &Defect| format!("{defect:?}").eq_ignore_ascii_case(name);
    Defect::ALL.into_iter().find(known).ok_or_else(|| {
        let names: Vec<String> = Defect::ALL.iter().map(|defect| format!("{defect:?}")).collect();
        format!("it is none of {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let options = Options::parse();
    tell_panics_with_their_seeds();
    let good = if let Some(seed) = options.seed {
        one(seed, &options)
    } else if options.defects {
        all_defects(&options)
    } else {
        many(&options)
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, options: &Options) -> bool {
    let played = play(seed, options.log, options.without);
    played.log.iter().for_each(|line| say(line));
    say(&format!("seed {seed}: log {}", played.hash));
    told(&played, options.without)
}

/// Whether all is well with a seed; says what is not.
fn told(played: &Played, without: Option<Defect>) -> bool {
    let Some(fault) = &played.fault else { return true };
    let Played { seed, .. } = played;
    let without = without.map(|defect| format!(" --without {defect:?}")).unwrap_or_default();
    say(&format!("seed {seed}: {fault}"));
    say(&format!("  replay: cargo xtask soak --seed {seed} --log{without}"));
    false
}

fn many(options: &Options) -> bool {
    let started = Instant::now();
    let Options { first, seeds, threads, without, .. } = options;
    let hunted = hunt(*first, *seeds, *threads, *without, 20, &deadline(options));
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    summary(&hunted, minutes);
    hunted.faults.iter().for_each(|played| {
        told(played, *without);
    });
    let (runs, green) = (hunted.tally.get("runs"), hunted.tally.get("green runs"));
    let enough = green * 100 >= runs * GREEN_SHARE;
    if !enough {
        say("fewer than a third of the runs end green: that proves nothing");
    }
    hunted.faults.is_empty() && enough
}

fn deadline(options: &Options) -> impl Fn() -> bool + Sync + use<> {
    let started = Instant::now();
    let minutes = options.minutes;
    move || minutes.is_some_and(|minutes| started.elapsed().as_secs() >= minutes * 60)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn summary(hunted: &Hunt, minutes: f64) {
    let Hunt { seed_count, tally, faults } = hunted;
    let runs = tally.get("runs");
    table(tally);
    say(&format!(
        "{seed_count} seeds, {runs} engine runs, {} green, {} faults; {:.0} seeds and {:.0} engine \
         runs a minute",
        tally.get("green runs"),
        faults.len(),
        *seed_count as f64 / minutes,
        runs as f64 / minutes
    ));
}

fn table(tally: &Tally) {
    tally.iter().for_each(|(what, count)| say(&format!("{count:>12}  {what}")));
}

/// How many seeds are played at most until a rule must have been noticed.
fn bound(options: &Options, defect: Defect) -> u64 {
    match defect {
        Defect::ForgetQuietTime | Defect::SkipLastLook => options.seeds.saturating_mul(RARE),
        _ => options.seeds,
    }
}

fn all_defects(options: &Options) -> bool {
    let Options { first, threads, .. } = options;
    let stop = deadline(options);
    let mut good = true;
    for defect in Defect::ALL {
        let started = Instant::now();
        let hunted = hunt(*first, bound(options, defect), *threads, Some(defect), 1, &stop);
        let seconds = started.elapsed().as_secs_f64();
        match hunted.faults.first() {
            Some(played) => say(&format!(
                "caught {defect:?} after {} seeds, {seconds:.1} s: seed {}, {}",
                hunted.seed_count,
                played.seed,
                played.fault.as_deref().unwrap_or_default()
            )),
            None => {
                good = false;
                say(&format!(
                    "NOT caught: {defect:?} in {} seeds, {seconds:.1} s",
                    hunted.seed_count
                ));
            }
        }
    }
    good
}

#[expect(clippy::print_stdout, reason = "a development tool talks to its terminal")]
fn say(line: &str) {
    println!("{line}");
}

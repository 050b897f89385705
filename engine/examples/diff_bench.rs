//! What the comparison costs: time, CPU and memory for lists of any size.
//!
//! ```text
//! diff_bench generate FOLDER --rows 10000000     pages of two listings, 0.3 % of them different
//! diff_bench run FOLDER --pages old --next first first snapshot
//! diff_bench run FOLDER --pages new --base first changes and the next snapshot
//! diff_bench run … --changes 1                   the first page alone, as a reading of changes
//! ```
//! Pages are zstd NDJSON without digests: reading, mapping and digesting them is part of what is
//! measured. Each run prints one line of JSON.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use jiff::Timestamp;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::json;
use tidemark_engine::{
    diff::{BatchLimits, DiffRequest, Dirty, MemoryBudget, Resend, StagedPage, StagedPages, diff},
    mapping::Mapper,
    snapshot::{Layout, Snapshot},
    store::{Store, StoreError},
};
use tidemark_model::{
    definition::{Deletions, SourceText, parse},
    entry::{Coverage, SnapshotFiles},
    receipt::PushCounts,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of a page, as a source gives them at most.
const PAGE_ROWS: u64 = 1_000;

const DEFINITION: &str = r#"
[[connection]]
id = "bench/list"
every = "1h"
[connection.source]
kind = "mailchimp"
api_key = "env:BENCH_KEY"
list_id = "a1b2c3"
[connection.destination]
kind = "record-api"
url = "https://example.org/record"
api_key = "env:BENCH_KEY"
delete = { tombstone = "deleted" }
[connection.record]
id = "contact_id"
firstname = "merge_fields.FNAME"
lastname = "merge_fields.LNAME"
email = "email_address"
[connection.policy]
deletions = "propagate"
"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", folder, options @ ..] => generate(Path::new(folder), &Options(options)),
        ["run", folder, options @ ..] => run(Path::new(folder), &Options(options)),
        _ => {
            eprintln!("usage: diff_bench generate|run FOLDER [--option value]…");
            std::process::exit(2);
        }
    }
}

/// `--name value` pairs.
struct Options<'a>(&'a [&'a str]);

impl Options<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| *word == name)?;
        self.0.get(at + 1).copied()
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.text(name).map_or(default, |text| text.parse().expect("an option is a number"))
    }
}

/// Writes `old/` and `new/`: of `rows` rows a thousandth is added, changed and removed.
fn generate(folder: &Path, options: &Options<'_>) {
    let rows = options.number("--rows", 1_000_000);
    let share = options.number("--share", 1_000);
    let touched = rows / share;
    write_pages(&folder.join("old"), &(0..rows).collect::<Vec<_>>(), |_| 0, 1);
    let kept: Vec<u64> = (touched..rows + touched).collect();
    // Changed ones lie all over the list.
    let version = |row: u64| u32::from(row % share == 7 && row < rows);
    write_pages(&folder.join("new"), &kept, version, 2);
}

fn write_pages(folder: &Path, rows: &[u64], version: impl Fn(u64) -> u32, seed: u64) {
    fs::create_dir_all(folder).expect("the folder can be made");
    let mut order = rows.to_vec();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let page_rows = usize::try_from(PAGE_ROWS).expect("a small number");
    for (number, page) in order.chunks(page_rows).enumerate() {
        let mut lines = Vec::new();
        for &row in page {
            write_row(row, version(row), &mut lines);
        }
        let frame = zstd::bulk::compress(&lines, 1).expect("memory takes a page");
        fs::write(folder.join(format!("{number:06}.ndjson.zst")), frame).expect("space is left");
    }
}

fn write_row(row: u64, version: u32, lines: &mut Vec<u8>) {
    let hex =
        |salt: &str| format!("{:.32}", blake3::hash(format!("{salt}{row}").as_bytes()).to_hex());
    let pick = |names: [&'static str; 6], by: u64| names[usize::from(by.to_le_bytes()[0]) % 6];
    let first = pick(["Ada", "Grace", "Alan", "Edsger", "Barbara", "Tony"], row);
    let last = pick(["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Hoare"], row >> 8);
    let modified = 1_760_000_000 + row % 9_000_000 + u64::from(version) * 9_000_000;
    writeln!(
        lines,
        r#"{{"id":"{}","contact_id":"{}","email_address":"{}.{row}@example.org","status":"subscribed","merge_fields":{{"FNAME":"{first}","LNAME":"{last}{}"}},"last_changed":{modified}}}"#,
        hex("key"),
        hex("contact"),
        first.to_lowercase(),
        if version > 0 { " II" } else { "" },
    )
    .expect("memory takes a page");
}

/// Pages on disk, mapped when they are read.
struct Pages {
    files: Vec<PathBuf>,
    mapper: Mapper,
}

impl StagedPages for Pages {
    fn page_count(&self) -> usize {
        self.files.len()
    }

    fn page(&self, index: usize) -> Result<StagedPage, StoreError> {
        let frame = fs::read(&self.files[index]).expect("the page was generated");
        let size = zstd::zstd_safe::get_frame_content_size(&frame).ok().flatten();
        let size = usize::try_from(size.expect("the frame says its size")).expect("a page fits");
        let lines = zstd::bulk::decompress(&frame, size).expect("the page was generated");
        let text = std::str::from_utf8(&lines).expect("the page was generated");
        let mut seen = self.mapper.paths_seen();
        let rows = text
            .lines()
            .map(|line| {
                let mut picked = [None; 2];
                let mapped = self.mapper.pick(line, &mut seen, &mut picked);
                let key = picked[0].expect("the row was generated").trim_matches('"');
                let modified = picked[1].expect("the row was generated").parse();
                mapped.into_row(key.to_owned(), modified.expect("the row was generated"))
            })
            .collect();
        let sent_at = Timestamp::from_second(index as i64).expect("a small number");
        Ok(StagedPage { sent_at, rows, gone: Vec::new() })
    }
}

fn run(folder: &Path, options: &Options<'_>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let pages = folder.join(options.text("--pages").unwrap_or("new"));
    let mut files: Vec<PathBuf> = fs::read_dir(&pages)
        .expect("the pages were generated")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort_unstable();
    let coverage = match options.text("--changes") {
        Some(pages) => {
            files.truncate(pages.parse().expect("an option is a number"));
            Coverage::Changes
        }
        None => Coverage::Full,
    };
    let source = SourceText { name: "bench".to_owned(), text: DEFINITION.to_owned() };
    let definition = parse(&[source], &[]).expect("the definition is valid").remove(0);
    let folder = &fs::canonicalize(folder).expect("the folder was generated");
    let store = Store::make(&format!("file://{}/store", folder.display())).expect("a store");
    let manifest = |name: &str| folder.join(format!("{name}.json"));
    let name = options.text("--next").unwrap_or("next").to_owned();
    let spill = folder.join("spill");
    fs::create_dir_all(&spill).expect("the folder can be made");
    let mapper = Mapper::picking(&definition, &["id", "last_changed"]);
    let pages = Arc::new(Pages { files, mapper });
    let (output, wall) = runtime.block_on(async {
        let started = Instant::now();
        let root = store.root();
        let base = match options.text("--base") {
            Some(base) => {
                let text = fs::read(manifest(base)).expect("the base was made by a run before");
                let files: SnapshotFiles = serde_json::from_slice(&text).expect("a manifest");
                Some(Snapshot::open(&root, &files).await.expect("the base is whole"))
            }
            None => None,
        };
        let request = DiffRequest {
            base,
            pages,
            coverage,
            dirty: Dirty::default(),
            deletions: Deletions::Propagate,
            resend: Resend::Nothing,
            limits: BatchLimits { write_records: 500, removal_records: 500, bytes: 4 << 20 },
            budget: options.text("--budget-mib").map_or(MemoryBudget::default(), |mib| {
                MemoryBudget(mib.parse::<u64>().expect("a number") << 20)
            }),
            threads: usize::try_from(options.number("--threads", 2)).expect("a small number"),
            spill,
            name: format!("{name}-{}", std::process::id()),
            layout: Layout::default(),
            rows_read: Arc::default(),
        };
        let output = diff(&root, request).await.expect("nothing is damaged");
        (output, started.elapsed())
    });
    let text = serde_json::to_vec(&output.snapshot).expect("plain JSON");
    fs::write(manifest(&name), text).expect("space is left");
    let PushCounts { added, changed, removed, .. } = output.push;
    let line = json!({
        "rows": output.rows.next,
        "added": added,
        "changed": changed,
        "removed": removed,
        "batches": output.batch_count,
        "wall_seconds": wall.as_secs_f64(),
        "cpu_seconds": cpu_seconds(),
        "peak_rss_mib": peak_rss_mib(),
    });
    println!("{line}");
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

fn peak_rss_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

//! What happened, in words: the event log of a seed, and its hash.

/// Everything that a seed did, in order.
#[derive(Debug)]
pub(crate) struct Journal {
    hasher: blake3::Hasher,
    lines: Option<Vec<String>>,
    count: u64,
}

/// No seed does so much: one that does goes round in circles.
const LIMIT: u64 = 300_000;

impl Journal {
    /// `kept`: the lines themselves are wanted, not only their hash.
    pub(crate) fn new(kept: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), lines: kept.then(Vec::new), count: 0 }
    }

    pub(crate) fn note(&mut self, at: u64, line: &str) {
        self.count += 1;
        assert!(self.count < LIMIT, "it comes to no end");
        self.write(at, line);
    }

    /// A fault is noted however much happened: that it comes to no end is one.
    pub(crate) fn note_fault(&mut self, at: u64, fault: &str) {
        self.write(at, &format!("FAULT {fault}"));
    }

    fn write(&mut self, at: u64, line: &str) {
        let line = format!("{:>8}.{:03}  {line}", at / 1_000, at % 1_000);
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    pub(crate) fn finish(self) -> (String, Vec<String>) {
        let hash = self.hasher.finalize().to_hex().chars().take(16).collect();
        (hash, self.lines.unwrap_or_default())
    }
}

/// Random parts of an object's name say nothing to a reader and differ each time.
pub(crate) fn plain(path: &str) -> String {
    let parts = path.split('-').map(|part| {
        let (name, ending) = part.split_at(part.find(['.', '/']).unwrap_or(part.len()));
        let random = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if random { format!("*{ending}") } else { part.to_owned() }
    });
    let plain = parts.collect::<Vec<_>>().join("-");
    plain.strip_prefix("connections/acme/newsletter/").unwrap_or(&plain).to_owned()
}

//! Which of the mapping's paths occurred in the rows, and what occurred instead.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::trie::Picked;

/// Rows whose paths are collected while something is still unmatched: enough to know what a
/// listing looks like, few enough to cost nothing.
const SAMPLED_ROWS: u32 = 100;

/// The most paths that are collected.
const MET_LIMIT: usize = 2_000;

/// The deepest objects whose keys are collected.
const DEPTH_LIMIT: usize = 4;

/// How alike two names must be for one to be suggested for the other (Jaro–Winkler, 0 to 1).
const LIKENESS: f64 = 0.75;

/// Which of the mapping's paths occurred in the rows that were mapped, and the names that did.
///
/// Holds names of keys only, never values.
#[derive(Clone, Debug)]
pub struct PathsSeen {
    paths: Arc<[String]>,
    matched: Vec<bool>,
    sampled_rows: u32,
    met: BTreeSet<String>,
}

impl PathsSeen {
    pub(super) fn new(paths: Arc<[String]>) -> Self {
        let matched = vec![false; paths.len()];
        Self { paths, matched, sampled_rows: 0, met: BTreeSet::new() }
    }

    pub(super) fn note_values(&mut self, values: &[Picked<'_>]) {
        for (matched, value) in self.matched.iter_mut().zip(values) {
            *matched |= value.is_some();
        }
    }

    pub(super) fn note(&mut self, values: &[Picked<'_>], source_record: &str) {
        self.note_values(values);
        if self.sampled_rows < SAMPLED_ROWS && self.matched.contains(&false) {
            self.sampled_rows += 1;
            if let Ok(record) = serde_json::from_str(source_record) {
                self.collect("", &record, 0);
            }
        }
    }

    fn collect(&mut self, prefix: &str, value: &Value, depth: usize) {
        let Some(object) = value.as_object().filter(|_| depth < DEPTH_LIMIT) else { return };
        for (key, value) in object {
            if self.met.len() >= MET_LIMIT {
                return;
            }
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            self.collect(&path, value, depth + 1);
            self.met.insert(path);
        }
    }

    /// Whether every path occurred: then nothing is to be told of what occurred instead.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.matched.contains(&false)
    }

    /// Takes in what another part of the rows showed, under the same mapping.
    pub fn merge(&mut self, other: &Self) {
        for (matched, &also) in self.matched.iter_mut().zip(&other.matched) {
            *matched |= also;
        }
        self.met.extend(other.met.iter().take(MET_LIMIT.saturating_sub(self.met.len())).cloned());
    }

    /// The mapped paths that no row had (a null counts as had), in the mapping's order.
    #[must_use]
    pub fn unmatched(&self) -> Vec<String> {
        self.missing().map(str::to_owned).collect()
    }

    /// The mapped paths that no row had, each with the path most like it that occurred.
    #[must_use]
    pub fn unmatched_with_nearest(&self) -> Vec<(String, Option<String>)> {
        self.missing().map(|path| (path.to_owned(), self.nearest(path))).collect()
    }

    fn missing(&self) -> impl Iterator<Item = &str> {
        self.paths
            .iter()
            .zip(&self.matched)
            .filter(|(_, matched)| !**matched)
            .map(|(path, _)| &**path)
    }

    fn nearest(&self, path: &str) -> Option<String> {
        let wanted = path.to_lowercase();
        self.met
            .iter()
            .map(|met| (likeness(&wanted, &met.to_lowercase()), met))
            .filter(|(likeness, _)| *likeness >= LIKENESS)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, met)| met.clone())
    }
}

/// Of whole paths, or of their last keys: `fname` means `merge_fields.FNAME`.
fn likeness(wanted: &str, met: &str) -> f64 {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let whole = strsim::jaro_winkler(wanted, met);
    // A little less than the whole, so that a full match of the path wins.
    let ends = strsim::jaro_winkler(&last(wanted), &last(met)) * 0.99;
    whole.max(ends)
}

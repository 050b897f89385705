//! The range files with the deltas laid over them, in key order.

use std::{collections::VecDeque, sync::Arc};

use super::{
    columns::{FileRow, Standing},
    file::SnapshotFile,
    scan::{Breadth, Scan},
};
use crate::store::StoreError;

/// A row's place: a file of the snapshot and the row in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The range files first, in key order, then the deltas, oldest first.
    pub(crate) file: usize,
    pub(crate) row: u64,
}

/// What the newest file says of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) row: FileRow<'a>,
    pub(crate) place: Place,
    /// Whether a delta holds the key.
    pub(crate) in_delta: bool,
    /// The change time of the row that the range file holds, if it holds one.
    pub(crate) in_range: Option<i64>,
    /// What the oldest of the deltas that hold the key replaced.
    pub(crate) first_replaced: Option<i64>,
}

impl Head<'_> {
    /// Whether the key has a row.
    pub(crate) fn visible(&self) -> bool {
        self.row.standing != Standing::Gone
    }
}

/// A delta's scan and the delta's place among the files.
struct Layer {
    file: usize,
    scan: Scan,
}

/// Walks over the rows of the range files and deltas between two keys. Blocking.
///
/// At each step it stands at one key; [`head`](Self::head) is what the newest file says of it.
pub(crate) struct View {
    breadth: Breadth,
    from: Arc<str>,
    to: Option<Arc<str>>,
    /// Range files that were not begun.
    waiting: VecDeque<(usize, Arc<SnapshotFile>)>,
    range: Option<Layer>,
    /// Newest first.
    deltas: Vec<Layer>,
    /// Deltas (by their place in `deltas`) that stand at the least key of all deltas.
    least: Vec<usize>,
    in_range: bool,
    in_delta: bool,
}

impl View {
    pub(super) fn new(
        ranges: Vec<(usize, Arc<SnapshotFile>)>,
        deltas: Vec<(usize, Arc<SnapshotFile>)>,
        breadth: Breadth,
        from: &str,
        to: Option<&str>,
    ) -> Result<Self, StoreError> {
        let to: Option<Arc<str>> = to.map(Arc::from);
        let deltas = deltas
            .into_iter()
            .rev()
            .map(|(file, delta)| {
                Ok(Layer { file, scan: Scan::new(&delta, breadth, from, to.clone())? })
            })
            .collect::<Result<_, StoreError>>()?;
        let mut view = Self {
            breadth,
            from: from.into(),
            to,
            waiting: ranges.into(),
            range: None,
            deltas,
            least: Vec::new(),
            in_range: false,
            in_delta: false,
        };
        view.next_range()?;
        view.find_least();
        view.settle();
        Ok(view)
    }

    fn next_range(&mut self) -> Result<(), StoreError> {
        while self.range.as_ref().is_none_or(|range| range.scan.key().is_none()) {
            let Some((file, range)) = self.waiting.pop_front() else {
                self.range = None;
                return Ok(());
            };
            let scan = Scan::new(&range, self.breadth, &self.from, self.to.clone())?;
            self.range = Some(Layer { file, scan });
        }
        Ok(())
    }

    fn find_least(&mut self) {
        self.least.clear();
        let mut least: Option<&str> = None;
        for (layer, delta) in self.deltas.iter().enumerate() {
            let Some(key) = delta.scan.key() else { continue };
            match least {
                Some(least) if key > least => {}
                Some(least) if key == least => self.least.push(layer),
                _ => {
                    least = Some(key);
                    self.least.clear();
                    self.least.push(layer);
                }
            }
        }
    }

    fn delta_key(&self) -> Option<&str> {
        self.deltas.get(*self.least.first()?)?.scan.key()
    }

    fn settle(&mut self) {
        let range = self.range.as_ref().and_then(|range| range.scan.key());
        (self.in_range, self.in_delta) = match (range, self.delta_key()) {
            (None, None) => (false, false),
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(range), Some(delta)) => (range <= delta, delta <= range),
        };
    }

    /// The key that the view stands at, `None` at its end.
    pub(crate) fn key(&self) -> Option<&str> {
        if self.in_delta {
            self.delta_key()
        } else {
            self.range.as_ref().and_then(|range| range.scan.key())
        }
    }

    /// What the newest file says of the key that the view stands at.
    pub(crate) fn head(&self) -> Option<Head<'_>> {
        let range = self.range.as_ref().filter(|_| self.in_range);
        let in_range = range.and_then(|range| Some(range.scan.current()?.modified));
        if !self.in_delta {
            let range = range?;
            return Some(Head {
                row: range.scan.current()?,
                place: Place { file: range.file, row: range.scan.position() },
                in_delta: false,
                in_range,
                first_replaced: None,
            });
        }
        let newest = self.deltas.get(*self.least.first()?)?;
        let oldest = self.deltas.get(*self.least.last()?)?;
        Some(Head {
            row: newest.scan.current()?,
            place: Place { file: newest.file, row: newest.scan.position() },
            in_delta: true,
            in_range,
            first_replaced: oldest.scan.current()?.replaced,
        })
    }

    /// What every file says of the key, newest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (FileRow<'_>, Place)> {
        let deltas =
            self.least.iter().filter(|_| self.in_delta).filter_map(|&d| self.deltas.get(d));
        deltas.chain(self.range.as_ref().filter(|_| self.in_range)).filter_map(|layer| {
            let place = Place { file: layer.file, row: layer.scan.position() };
            Some((layer.scan.current()?, place))
        })
    }

    /// Goes on to the next key.
    pub(crate) fn advance(&mut self) -> Result<(), StoreError> {
        if self.in_range
            && let Some(range) = &mut self.range
        {
            range.scan.advance()?;
            if range.scan.key().is_none() {
                self.next_range()?;
            }
        }
        if self.in_delta {
            for &layer in &self.least {
                if let Some(delta) = self.deltas.get_mut(layer) {
                    delta.scan.advance()?;
                }
            }
            self.find_least();
        }
        self.settle();
        Ok(())
    }
}

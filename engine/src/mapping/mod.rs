//! From a source's row to the record that belongs at the destination.
//!
//! The JSON text is read once, as a stream: values are picked where the mapping points and copied
//! into the record, everything else is skipped without being built. What comes out is canonical:
//! the same values give the same bytes, so that digests can be compared.

mod reasons;
mod record;
mod seen;
mod trie;

use std::sync::Arc;

use serde::Deserializer;
use tidemark_model::{
    definition::Definition,
    row::{InvalidReason, Row},
};

pub use reasons::InvalidReasons;
pub use seen::PathsSeen;

use record::Field;
use trie::{PathTrie, Picked};

/// The most bytes that a value may have in a record.
pub const FIELD_LIMIT: u64 = 1024 * 1024;

/// The values of so many paths need no memory of their own while a row is mapped.
const FEW_PATHS: usize = 16;

/// The name of the field that carries a record's id.
const ID: &str = "id";

/// The mapping of a definition, ready to be applied. Cheap to clone and to share.
#[derive(Clone, Debug)]
pub struct Mapper {
    shape: Arc<Shape>,
}

#[derive(Debug)]
struct Shape {
    /// The id first, then the fields in the mapping's order.
    fields: Vec<Field>,
    /// Where the fields' values are, in the same order.
    paths: Arc<[String]>,
    trie: PathTrie,
}

/// What became of a source record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// The record's id and the record: a JSON object of strings, the id first, then the fields in
    /// the mapping's order.
    Record { id: String, json: String },
    /// It cannot become a record.
    Invalid(InvalidReason),
}

impl Mapper {
    /// The mapping of a definition: its fields, its id rule and what it requires.
    #[must_use]
    pub fn new(definition: &Definition) -> Self {
        Self::picking(definition, &[])
    }

    /// The same, and other paths whose values [`pick`](Self::pick) hands out on the way: what a
    /// source wants to know of a row beside its record.
    #[must_use]
    pub fn picking(definition: &Definition, others: &[&str]) -> Self {
        let record = definition.record();
        let required = definition.policy().required();
        Self::of(
            (record.id_prefix(), record.id_path().as_str()),
            record.fields().iter().map(|(field, path)| (field.as_str(), path.as_str())),
            |field| required.contains(field),
            others,
        )
    }

    fn of<'a>(
        (id_prefix, id_path): (&str, &str),
        fields: impl Iterator<Item = (&'a str, &'a str)>,
        required: impl Fn(&str) -> bool,
        others: &[&str],
    ) -> Self {
        let mut shapes = vec![Field::new(ID, id_path, id_prefix, true)];
        let mut paths = vec![id_path.to_owned()];
        for (field, path) in fields {
            shapes.push(Field::new(field, path, "", required(field)));
            paths.push(path.to_owned());
        }
        let trie = PathTrie::new(paths.iter().map(String::as_str).chain(others.iter().copied()));
        Self { shape: Arc::new(Shape { fields: shapes, paths: paths.into(), trie }) }
    }

    /// Nothing seen yet.
    #[must_use]
    pub fn paths_seen(&self) -> PathsSeen {
        PathsSeen::new(Arc::clone(&self.shape.paths))
    }

    /// Maps a source record (the JSON object of one row). Missing values and nulls become empty
    /// texts, numbers and booleans their JSON text.
    ///
    /// Of a key that stands twice in an object the last one counts.
    #[must_use]
    pub fn map(&self, source_record: &str, seen: &mut PathsSeen) -> Mapped {
        self.pick(source_record, seen, &mut [])
    }

    /// Maps a source record, and puts the values of the other paths into `picked`, in their order:
    /// each as it stands in the JSON text, `None` if it is absent or the text is no JSON object.
    #[must_use]
    pub fn pick<'t>(
        &self,
        source_record: &'t str,
        seen: &mut PathsSeen,
        picked: &mut [Option<&'t str>],
    ) -> Mapped {
        let walk = |values: &mut [Picked<'t>]| self.shape.trie.pick(source_record, values);
        picked.fill(None);
        self.walked(walk, picked, |values| seen.note(values, source_record))
            .unwrap_or(Mapped::Invalid(InvalidReason::NotJson))
    }

    /// The same of a source record inside a JSON text that is being read, without looking for its
    /// end first. Names of keys are not collected, so [`PathsSeen`] must turn out to be
    /// [complete](PathsSeen::is_complete).
    ///
    /// # Errors
    /// The text's, and whatever [`pick`](Self::pick) would make of an odd record: then the record
    /// is to be picked from by itself.
    pub fn pick_on_the_way<'t, D: Deserializer<'t>>(
        &self,
        source_record: D,
        seen: &mut PathsSeen,
        picked: &mut [Option<&'t str>],
    ) -> Result<Mapped, D::Error> {
        let walk =
            |values: &mut [Picked<'t>]| self.shape.trie.pick_on_the_way(source_record, values);
        self.walked(walk, picked, |values| seen.note_values(values))
    }

    /// Maps what a walk puts into its places.
    fn walked<'t, E>(
        &self,
        walk: impl FnOnce(&mut [Picked<'t>]) -> Result<(), E>,
        picked: &mut [Option<&'t str>],
        note: impl FnOnce(&[Picked<'t>]),
    ) -> Result<Mapped, E> {
        let Shape { fields, trie, .. } = &*self.shape;
        let mut few = [None; FEW_PATHS];
        let mut many = Vec::new();
        let values = few.get_mut(..trie.len()).unwrap_or_else(|| {
            many.resize(trie.len(), None);
            &mut many
        });
        walk(values)?;
        let (values, others) = values.split_at(fields.len());
        for (picked, value) in picked.iter_mut().zip(others) {
            *picked = *value;
        }
        note(values);
        Ok(record::assemble(fields, values)
            .map_or_else(Mapped::Invalid, |(id, json)| Mapped::Record { id, json }))
    }

    /// Maps a source record into a row of the listing, which says why if it is an invalid one.
    #[must_use]
    pub fn row(
        &self,
        key: String,
        modified: i64,
        source_record: &str,
        seen: &mut PathsSeen,
    ) -> Row {
        self.map(source_record, seen).into_row(key, modified)
    }
}

impl Mapped {
    /// The row of the listing, which says why if it is an invalid one.
    #[must_use]
    pub fn into_row(self, key: String, modified: i64) -> Row {
        match self {
            Self::Record { id, json } => Row::sent(key, modified, id, json),
            Self::Invalid(reason) => Row::invalid(key, modified, reason),
        }
    }
}

#[cfg(test)]
mod tests;

//! The mapping's paths as a tree, and the walk of a JSON text along it.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// A value as it stands in the JSON text, or nothing if it is not there.
pub(super) type Picked<'t> = Option<&'t str>;

/// Paths into a JSON object.
#[derive(Debug)]
pub(super) struct PathTrie {
    root: Node,
    len: usize,
}

/// What is wanted at one place of an object, and below it.
#[derive(Debug, Default)]
struct Node {
    /// The paths that end here, by their place in the list.
    paths: Vec<usize>,
    below: Vec<(Box<str>, Node)>,
}

impl PathTrie {
    /// Of dotted paths; a path is known by its place in the list.
    pub(super) fn new<'p>(paths: impl Iterator<Item = &'p str>) -> Self {
        let mut trie = Self { root: Node::default(), len: 0 };
        for path in paths {
            let leaf = path.split('.').fold(&mut trie.root, |node, key| node.child(key));
            leaf.paths.push(trie.len);
            trie.len += 1;
        }
        trie
    }

    /// How many paths it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes the values of all paths in a JSON object into `values`.
    ///
    /// Where something else than an object stands above a path, it may be what JSON can write and no
    /// type holds, such as `1e999`: then the text is walked once more, and only objects are entered.
    pub(super) fn pick<'t>(
        &self,
        text: &'t str,
        values: &mut [Picked<'t>],
    ) -> Result<(), serde_json::Error> {
        self.walk(text, values, Pace::Once).or_else(|_| {
            values.fill(None);
            self.walk(text, values, Pace::Twice)
        })
    }

    /// The same of an object inside a JSON text that is being read. What [`pick`](Self::pick) would
    /// have to walk twice is an error here.
    pub(super) fn pick_on_the_way<'t, D: Deserializer<'t>>(
        &self,
        object: D,
        values: &mut [Picked<'t>],
    ) -> Result<(), D::Error> {
        object.deserialize_map(Walk { node: &self.root, values, pace: Pace::Once })
    }

    fn walk<'t>(
        &self,
        text: &'t str,
        values: &mut [Picked<'t>],
        pace: Pace,
    ) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_map(Walk { node: &self.root, values, pace })?;
        deserializer.end()
    }
}

/// How often what is below a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Once,
    /// Where it ends first, and then, if it is an object, what is in it.
    Twice,
}

impl Node {
    fn child(&mut self, key: &str) -> &mut Self {
        let place = self.below.iter().position(|(name, _)| **name == *key).unwrap_or_else(|| {
            self.below.push((key.into(), Self::default()));
            self.below.len() - 1
        });
        &mut self.below[place].1
    }
}

/// Walks the value of one node that has others below it.
struct Walk<'n, 'v, 't> {
    node: &'n Node,
    values: &'v mut [Picked<'t>],
    pace: Pace,
}

impl<'t> DeserializeSeed<'t> for Walk<'_, '_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Walk<'_, '_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { node, values, pace } = self;
        while let Some(wanted) = entries.next_key_seed(Wanted { node })? {
            match wanted {
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
                Some(node) if node.below.is_empty() => {
                    let value: &'t RawValue = entries.next_value()?;
                    for &path in &node.paths {
                        values[path] = Some(value.get());
                    }
                }
                Some(node) if node.paths.is_empty() && pace == Pace::Once => {
                    entries.next_value_seed(Walk { node, values, pace })?;
                }
                // Wanted as a whole and in parts (a rare mapping), or a text with something odd.
                Some(node) => {
                    let value: &'t RawValue = entries.next_value()?;
                    for &path in &node.paths {
                        values[path] = Some(value.get());
                    }
                    if value.get().starts_with('{') {
                        serde_json::Deserializer::from_str(value.get())
                            .deserialize_map(Walk { node, values, pace })
                            .map_err(A::Error::custom)?;
                    }
                }
            }
        }
        Ok(())
    }

    // What is no object holds none of the values below: they are absent.

    fn visit_seq<A: SeqAccess<'t>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// Looks an object's key up among the nodes below one.
struct Wanted<'n> {
    node: &'n Node,
}

impl<'t, 'n> DeserializeSeed<'t> for Wanted<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // As bytes, because half a surrogate pair in a key that nobody asks for harms nobody.
        deserializer.deserialize_bytes(self)
    }
}

impl<'n> Visitor<'_> for Wanted<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        let named = self.node.below.iter().find(|(name, _)| name.as_bytes() == key);
        Ok(named.map(|(_, node)| node))
    }
}

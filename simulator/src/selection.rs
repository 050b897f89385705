//! `fields` and `exclude_fields`: which part of an answer is wanted, as a tree of names.

use serde_json::Value;

/// What of a JSON value is wanted. Names that do not exist are ignored, as the live API does.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Selection {
    #[default]
    Everything,
    /// Only these names of an object (or of each object of an array).
    Only(Vec<(String, Selection)>),
    /// All but these names: None = the whole name, else a part of what is under it.
    Except(Vec<(String, Option<Selection>)>),
}

impl Selection {
    /// From the two parameters; an error if both are given.
    pub(crate) fn parse(
        fields: Option<&str>,
        exclude_fields: Option<&str>,
    ) -> Result<Self, BothGiven> {
        let paths = |list: &str| -> Vec<Vec<String>> {
            list.split(',')
                .map(|path| path.trim().split('.').map(str::to_owned).collect())
                .collect()
        };
        match (fields.filter(|f| !f.is_empty()), exclude_fields.filter(|f| !f.is_empty())) {
            (Some(_), Some(_)) => Err(BothGiven),
            (Some(list), None) => Ok(only(&paths(list))),
            (None, Some(list)) => Ok(except(&paths(list))),
            (None, None) => Ok(Self::Everything),
        }
    }

    /// What is wanted of the value under `name`; None = nothing, not even the name.
    pub(crate) fn child(&self, name: &str) -> Option<Self> {
        match self {
            Self::Everything => Some(Self::Everything),
            Self::Only(names) => {
                names.iter().find(|(n, _)| n == name).map(|(_, selection)| selection.clone())
            }
            Self::Except(names) => match names.iter().find(|(n, _)| n == name) {
                None => Some(Self::Everything),
                Some((_, below)) => below.clone(),
            },
        }
    }

    pub(crate) fn is_everything(&self) -> bool {
        *self == Self::Everything
    }

    /// Takes off what is not wanted.
    pub(crate) fn trim(&self, value: Value) -> Value {
        match value {
            _ if self.is_everything() => value,
            Value::Object(map) => map
                .into_iter()
                .filter_map(|(name, value)| {
                    let trimmed = self.child(&name)?.trim(value);
                    Some((name, trimmed))
                })
                .collect(),
            Value::Array(items) => items.into_iter().map(|item| self.trim(item)).collect(),
            other => other,
        }
    }
}

/// `fields` and `exclude_fields` in one request.
#[derive(Debug, PartialEq)]
pub(crate) struct BothGiven;

/// The paths, grouped by their first name, in the order in which the names appear first.
fn grouped(paths: &[Vec<String>]) -> Vec<(String, Vec<Vec<String>>)> {
    let mut groups: Vec<(String, Vec<Vec<String>>)> = Vec::new();
    for path in paths {
        let Some((name, rest)) = path.split_first() else { continue };
        match groups.iter_mut().find(|(n, _)| n == name) {
            Some((_, group)) => group.push(rest.to_vec()),
            None => groups.push((name.clone(), vec![rest.to_vec()])),
        }
    }
    groups
}

fn only(paths: &[Vec<String>]) -> Selection {
    if paths.iter().any(Vec::is_empty) {
        return Selection::Everything;
    }
    let names = grouped(paths).into_iter().map(|(name, rest)| (name, only(&rest)));
    Selection::Only(names.collect())
}

fn except(paths: &[Vec<String>]) -> Selection {
    let names = grouped(paths).into_iter().map(|(name, rest)| {
        let whole = rest.iter().any(Vec::is_empty);
        (name, (!whole).then(|| except(&rest)))
    });
    Selection::Except(names.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({"members": [{"id": "1", "merge_fields": {"FNAME": "A", "LNAME": "B"}, "tags": [{"id": 1, "name": "t"}]}],
               "total_items": 1})
    }

    #[test]
    fn fields_keep_and_exclude_fields_drop_by_dot_path() {
        let kept =
            Selection::parse(Some("members.merge_fields.FNAME,members.tags.name,nothing"), None);
        assert_eq!(
            kept.unwrap().trim(sample()),
            json!({"members": [{"merge_fields": {"FNAME": "A"}, "tags": [{"name": "t"}]}]})
        );
        let dropped = Selection::parse(None, Some("members.merge_fields.FNAME,members.tags,email"));
        assert_eq!(
            dropped.unwrap().trim(sample()),
            json!({"members": [{"id": "1", "merge_fields": {"LNAME": "B"}}], "total_items": 1})
        );
        assert_eq!(
            Selection::parse(Some("members"), None).unwrap().trim(sample())["members"],
            sample()["members"]
        );
        assert_eq!(Selection::parse(Some("a"), Some("b")), Err(BothGiven));
    }
}

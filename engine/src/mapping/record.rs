//! The canonical record: one object of texts.

use std::borrow::Cow;

use tidemark_model::row::{InvalidReason, NotText};

use super::{FIELD_LIMIT, trie::Picked};

/// A field of the record.
#[derive(Debug)]
pub(super) struct Field {
    name: String,
    /// Where its value is in a source record.
    path: String,
    /// `"name":"prefix`, as it is written before the value.
    opening: String,
    prefix: String,
    /// An empty value makes the row an invalid one.
    required: bool,
}

impl Field {
    pub(super) fn new(name: &str, path: &str, prefix: &str, required: bool) -> Self {
        let mut opening = String::from("\"");
        escape(name, &mut opening);
        opening.push_str("\":\"");
        escape(prefix, &mut opening);
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            opening,
            prefix: prefix.to_owned(),
            required,
        }
    }
}

/// The record of picked values, after its id. The first field is the id.
pub(super) fn assemble(
    fields: &[Field],
    values: &[Picked<'_>],
) -> Result<(String, String), InvalidReason> {
    let size: usize = fields.iter().map(|field| field.opening.len() + 2).sum::<usize>()
        + values.iter().map(|value| value.map_or(0, str::len)).sum::<usize>();
    let mut json = String::with_capacity(size + 2);
    let mut id = None;
    json.push('{');
    for (field, value) in fields.iter().zip(values) {
        let text = Text::of(*value, field)?;
        if field.required && text.is_empty() {
            let (field, path) = (field.name.clone(), field.path.clone());
            return Err(InvalidReason::Empty { field, path });
        }
        if id.is_none() {
            id = Some([&*field.prefix, text.plain()].concat());
        } else {
            json.push(',');
        }
        json.push_str(&field.opening);
        text.write_to(&mut json);
        json.push('"');
    }
    json.push('}');
    Ok((id.unwrap_or_default(), json))
}

/// A value as text.
enum Text<'t> {
    /// Needs no escapes: the same in JSON and outside it.
    Plain(&'t str),
    Escaped(String),
}

impl<'t> Text<'t> {
    fn of(value: Picked<'t>, field: &Field) -> Result<Self, InvalidReason> {
        let value = value.unwrap_or("null");
        let not_text = |found| Err(InvalidReason::NotText { path: field.path.clone(), found });
        let text = match value.as_bytes() {
            [b'{', ..] => return not_text(NotText::Object),
            [b'[', ..] => return not_text(NotText::Array),
            b"null" => Self::Plain(""),
            [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
                Self::Plain(value.get(1..value.len() - 1).expect("quotes are single bytes"))
            }
            // A text with escapes; half a surrogate pair is one that no UTF-8 can carry.
            [b'"', ..] => match serde_json::from_str::<Cow<'_, str>>(value) {
                Ok(text) => Self::Escaped(text.into_owned()),
                Err(_) => return Err(InvalidReason::NotUtf8),
            },
            _ => Self::Plain(value),
        };
        if text.plain().len() as u64 > FIELD_LIMIT {
            return Err(InvalidReason::TooLong { path: field.path.clone(), limit: FIELD_LIMIT });
        }
        Ok(text)
    }

    fn plain(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(text) => text,
        }
    }

    fn is_empty(&self) -> bool {
        self.plain().is_empty()
    }

    fn write_to(&self, json: &mut String) {
        match self {
            Self::Plain(text) => json.push_str(text),
            Self::Escaped(text) => escape(text, json),
        }
    }
}

/// Writes a text as it stands between the quotes of a JSON text: escapes only where JSON demands.
fn escape(text: &str, json: &mut String) {
    let quoted = serde_json::to_string(text).expect("a text is always JSON");
    json.push_str(quoted.get(1..quoted.len() - 1).expect("quotes are single bytes"));
}

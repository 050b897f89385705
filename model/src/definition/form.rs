//! The forms of values: what each key may hold, and what to say if it holds something else.
//!
//! A refusal never repeats the value.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use url::Url;

use super::section::{did_you_mean, list, nearest};
use super::shape::Shape;
use super::tree::Value;
use crate::schedule::duration;
use crate::secret::SecretRef;

/// The longest time that anything may take to become visible or to take effect.
pub(super) const MAX_SETTLE: Duration = Duration::from_hours(1);

/// How long a request may be waited for.
pub(super) const REQUEST_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(1);

/// Why a value is not of the form that its key has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Goes on after the key: "is not …".
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// What else is wrong, of a value with several parts.
    pub(super) others: Vec<Self>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, others: Vec::new() }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The value is of another type.
    pub(super) fn expected(expected: &str, found: &Value) -> Self {
        Self::new(format!("has to be {expected}, found {}", found.kind()))
    }
}

/// Reads a value, or says why it is of another form.
type Reader<T> = dyn Fn(&Value) -> Result<T, Refusal>;

/// How a value is read, and what it looks like.
pub struct Form<T> {
    shape: Shape,
    read: Box<Reader<T>>,
}

impl<T: 'static> Form<T> {
    /// `shape` says no more than what `read` insists on.
    pub(super) fn new(shape: Shape, read: impl Fn(&Value) -> Result<T, Refusal> + 'static) -> Self {
        Self { shape, read: Box::new(read) }
    }

    /// # Errors
    /// The value is not of this form.
    pub(super) fn read(&self, value: &Value) -> Result<T, Refusal> {
        (self.read)(value)
    }

    pub(super) fn into_shape(self) -> Shape {
        self.shape
    }

    /// A form that insists on more than this one, in a way that no schema says.
    pub(super) fn then<U: 'static>(
        self,
        narrow: impl Fn(T) -> Result<U, Refusal> + 'static,
    ) -> Form<U> {
        let read = self.read;
        Form::new(self.shape, move |value| narrow(read(value)?))
    }

    /// The same values under another shape.
    pub(super) fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }
}

/// Text without control characters, at most 200 bytes; may be empty.
pub(super) fn text() -> Form<String> {
    Form::new(Shape::text(), |value| {
        let Value::Text(text) = value else { return Err(Refusal::expected("text", value)) };
        if text.chars().any(char::is_control) {
            Err(Refusal::new("holds a control character"))
        } else if text.len() > 200 {
            Err(Refusal::new("is longer than 200 bytes"))
        } else {
            Ok(text.clone())
        }
    })
}

/// Text that is not empty.
pub(super) fn name() -> Form<String> {
    let not_empty =
        |name: String| if name.is_empty() { Err(Refusal::new("is empty")) } else { Ok(name) };
    text().then(not_empty).shaped(Shape::pattern("text", "."))
}

/// Text that a type of its own checks; `expected` is for values of another type.
pub(super) fn parsed<T>(shape: Shape, expected: &'static str) -> Form<T>
where
    T: FromStr<Err: fmt::Display> + 'static,
{
    Form::new(shape, move |value| match value {
        Value::Text(text) => text.parse().map_err(|error: T::Err| Refusal::new(error.to_string())),
        other => Err(Refusal::expected(expected, other)),
    })
}

/// Text that becomes part of an address: letters, digits, `-` and `_`.
pub fn word() -> Form<String> {
    let word = |text: String| {
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            Ok(text)
        } else {
            Err(Refusal::new("has to be made of letters, digits, `-` and `_`, at least one"))
        }
    };
    text().then(word).shaped(Shape::pattern("letters, digits, `-`, `_`", "^[A-Za-z0-9_-]+$"))
}

/// A reference to a secret that a worker reads.
pub(super) fn secret() -> Form<SecretRef> {
    secret_of("the worker")
}

/// A reference to a secret; `reader` is the process that reads it.
pub fn secret_of(reader: &'static str) -> Form<SecretRef> {
    Form::new(Shape::Secret, move |value| {
        let hint = format!(
            "put the secret into a variable or a file of {reader}, and write \"env:NAME\" or \
             \"file:/path\" here"
        );
        let refused = match value {
            Value::Text(text) => {
                text.parse().map_err(|error| Refusal::new(format!("is refused: {error}")))
            }
            other => Err(Refusal::expected("text such as \"env:NAME\"", other)),
        };
        refused.map_err(|refusal: Refusal| refusal.hint(hint))
    })
}

/// A duration between two bounds.
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> Form<Duration> {
    Form::new(Shape::Duration(bounds.clone()), move |value| {
        let duration = any_duration(value)?;
        if bounds.contains(&duration) {
            return Ok(duration);
        }
        let (from, to) = (duration::text(*bounds.start()), duration::text(*bounds.end()));
        Err(Refusal::new(format!("has to be between {from} and {to}")))
    })
}

/// A duration of any length.
pub(super) fn any_duration(value: &Value) -> Result<Duration, Refusal> {
    match value {
        Value::Text(text) => duration::parse(text)
            .map_err(|_| Refusal::new("is not a duration").hint("use text such as '1h 30m'")),
        other => Err(Refusal::expected("a duration", other).hint("use text such as '1h 30m'")),
    }
}

/// A whole number between two bounds.
pub(super) fn count(bounds: RangeInclusive<u32>) -> Form<u32> {
    Form::new(Shape::Count(bounds.clone()), move |value| {
        let Value::Integer(integer) = value else {
            return Err(Refusal::expected("a whole number", value));
        };
        let count = integer.and_then(|integer| u32::try_from(integer).ok());
        count.filter(|count| bounds.contains(count)).ok_or_else(|| {
            Refusal::new(format!("has to be between {} and {}", bounds.start(), bounds.end()))
        })
    })
}

/// A share, 0 to 1.
pub(super) fn fraction() -> Form<f64> {
    Form::new(Shape::Fraction, |value| {
        let fraction = match value {
            Value::Float(float) => *float,
            // `0` and `1` are fractions as well.
            Value::Integer(integer) => integer.and_then(|i| i32::try_from(i).ok()).map(f64::from),
            other => return Err(Refusal::expected("a number between 0 and 1", other)),
        };
        fraction
            .filter(|fraction| (0.0..=1.0).contains(fraction))
            // `-0.0` is 0, and would be written as another text.
            .map(f64::abs)
            .ok_or_else(|| Refusal::new("has to be between 0 and 1"))
    })
}

/// A number of bytes between two bounds, as text with a unit.
pub(super) fn size(bounds: RangeInclusive<ByteSize>) -> Form<u64> {
    Form::new(Shape::Size(bounds.clone()), move |value| {
        let hint = "use text such as '4 MiB'";
        let Value::Text(text) = value else {
            return Err(Refusal::expected("a size", value).hint(hint));
        };
        let size: ByteSize = text.parse().map_err(|_| Refusal::new("is not a size").hint(hint))?;
        if bounds.contains(&size) {
            return Ok(size.as_u64());
        }
        let (from, to) = (bounds.start().as_u64(), bounds.end().as_u64());
        let (from, to) = (super::text::size(from), super::text::size(to));
        Err(Refusal::new(format!("has to be between {from} and {to}")))
    })
}

/// An address without anything that may be a secret.
pub(super) fn address() -> Form<Url> {
    Form::new(Shape::Address, any_address)
}

fn any_address(value: &Value) -> Result<Url, Refusal> {
    let Value::Text(text) = value else {
        return Err(Refusal::expected("text such as \"https://host/path\"", value));
    };
    let url: Url = text.parse().map_err(|_| {
        Refusal::new("is not an address").hint("use text such as \"https://host/path\"")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        Err(Refusal::new("has to begin with http:// or https://"))
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(Refusal::new("holds a user or a password, which is refused")
            .hint("give the credential as a reference in `api_key`"))
    } else if url.query().is_some() || url.fragment().is_some() {
        Err(Refusal::new("holds `?` or `#`, which is refused")
            .hint("an address ends with its path; give a credential as a reference in `api_key`"))
    } else if url.as_str().len() > 500 {
        Err(Refusal::new("is longer than 500 bytes"))
    } else {
        Ok(url)
    }
}

/// `true` or `false`.
pub fn flag() -> Form<bool> {
    Form::new(Shape::OneOf(vec!["true", "false"]), |value| match value {
        Value::Boolean(boolean) => Ok(*boolean),
        other => Err(Refusal::expected("`true` or `false`", other)),
    })
}

/// Text that a type of its own checks; `hint` tells what to write instead.
pub fn checked<T>(expected: &'static str, hint: &'static str) -> Form<T>
where
    T: FromStr<Err: fmt::Display> + 'static,
{
    let parsed = parsed(Shape::text(), expected);
    Form::new(Shape::text(), move |value| {
        parsed.read(value).map_err(|refusal: Refusal| refusal.hint(hint))
    })
}

/// One of some words.
pub fn one_of<T: Copy + 'static>(words: &[(&'static str, T)]) -> Form<T> {
    let words = words.to_vec();
    let names: Vec<&'static str> = words.iter().map(|(name, _)| *name).collect();
    Form::new(Shape::OneOf(names.clone()), move |value| {
        let expected = list(&names, "or");
        let Value::Text(text) = value else { return Err(Refusal::expected(&expected, value)) };
        match words.iter().find(|(name, _)| name == text) {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(Refusal {
                hint: nearest(text, &names).map(did_you_mean),
                ..Refusal::new(format!("has to be {expected}"))
            }),
        }
    })
}

/// An array of values of one form, each at most once.
pub fn set<T: Ord + 'static>(item: Form<T>) -> Form<BTreeSet<T>> {
    let Form { shape, read } = item;
    Form::new(Shape::Set(Box::new(shape)), move |value| match value {
        Value::Array(items) => {
            let mut set = BTreeSet::new();
            let mut refusals: Vec<Refusal> = Vec::new();
            for node in items {
                let refusal = match read(&node.value) {
                    Ok(item) => {
                        if set.insert(item) {
                            continue;
                        }
                        Refusal::new("names something twice")
                    }
                    Err(refusal) => refusal,
                };
                if !refusals.contains(&refusal) {
                    refusals.push(refusal);
                }
            }
            let mut refusals = refusals.into_iter();
            match refusals.next() {
                None => Ok(set),
                Some(first) => Err(Refusal { others: refusals.collect(), ..first }),
            }
        }
        other => Err(Refusal::expected("an array", other)),
    })
}

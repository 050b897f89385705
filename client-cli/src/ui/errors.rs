//! The one form of errors: what, why, and the next command.

use std::error::Error as _;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;
use temporalio_client::tonic::Status;

use crate::error::Error;

/// `error: …`, `caused by: …` for each cause, and after an empty line `hint: …`.
pub(crate) fn render(error: &Error) -> String {
    let mut text = format!("{} {error}", "error:".red().bold());
    let mut known = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Some foreign errors repeat their cause in their own text.
        let said = words(cause);
        if !known.contains(&said) {
            add(&mut text, &format!("{} {said}", "caused by:".red()));
        }
        known = said;
        next = cause.source();
    }
    for cause in error.further_causes() {
        add(&mut text, &format!("{} {cause}", "caused by:".red()));
    }
    for hint in error.hints() {
        add(&mut text, &format!("{} {hint}", "hint:".cyan()));
    }
    text
}

/// The words of a cause. A gRPC status has its code and its message in its own text.
fn words(cause: &(dyn std::error::Error + 'static)) -> String {
    let status = cause
        .downcast_ref::<Status>()
        .or_else(|| cause.downcast_ref::<Box<Status>>().map(AsRef::as_ref));
    match status {
        Some(status) if !status.message().is_empty() => status.message().to_owned(),
        _ => cause.to_string(),
    }
}

/// `warning: …`.
pub(crate) fn warning(message: &str) -> String {
    format!("{} {message}", "warning:".yellow().bold())
}

fn add(text: &mut String, line: &str) {
    write!(text, "\n{line}").expect("writing to a string cannot fail");
}

//! One connection while it is read: every part that is right, although others are wrong.

use std::time::Duration;

use super::destination::DestinationDefinition;
use super::form::{self, Form, Refusal};
use super::policy::Policy;
use super::problem::Problem;
use super::record::{IdScope, RecordMapping};
use super::section::{Reported, Reports, Section, did_you_mean, list, nearest};
use super::shape::Shape;
use super::source::SourceDefinition;
use super::territory::Territory;
use super::tree::{Node, Position, Table, Value};
use super::{Definition, destination, policy, record, source};
use crate::ids::ConnectionId;
use crate::schedule::{Cron, CronError, Interval, Schedule, duration};

/// What says when a connection runs.
pub(super) const SCHEDULE_HINT: &str =
    "write every = \"1h\", or cron = \"0 7 * * *\" with timezone = \"Europe/Berlin\"";

/// One connection while it is read. What is missing here was reported.
pub(super) struct Draft {
    /// Where it begins.
    pub(super) at: Position,
    pub(super) id: Result<ConnectionId, Reported>,
    /// What it would delete from; `None` also if that cannot be told yet.
    pub(super) territory: Option<Territory>,
    schedule: Result<Schedule, Reported>,
    max_lag: Result<Duration, Reported>,
    source: Result<SourceDefinition, Reported>,
    destination: Result<DestinationDefinition, Reported>,
    record: Result<RecordMapping, Reported>,
    policy: Result<Policy, Reported>,
    fits: Result<(), Reported>,
}

impl Draft {
    /// Reads a connection into which the defaults were merged. `id` was read before, since the
    /// reports carry it.
    pub(super) fn read(
        at: &Position,
        table: &Table,
        id: Result<ConnectionId, Reported>,
        reports: &Reports,
    ) -> Self {
        let mut section = Section::root(at, table, reports);
        if section.optional("id", Form::new(self::id().into_shape(), |_| Ok(()))) == Ok(None) {
            section.missing("id", "write id = \"account/connection\"");
        }
        let schedule = schedule(&mut section);
        let max_lag = max_lag(&mut section, schedule.as_ref().ok());
        let scope = section.or("id_scope", IdScope::default(), id_scope());
        let source = section.section("source").and_then(source::read);
        let destination = section.section("destination").and_then(destination::read);
        let record = section
            .section("record")
            .and_then(|section| record::read(section, id.as_ref().ok(), scope));
        let policy = section.section("policy").and_then(policy::read);
        section.finish();
        let fits = [
            deletions_are_possible(table, reports),
            tombstone_is_free(table, reports),
            required_is_mapped(table, reports),
            id_is_stable(table, reports),
        ];
        Self {
            at: at.clone(),
            territory: id.as_ref().ok().and_then(|id| Territory::in_table(id, table)),
            id,
            schedule,
            max_lag,
            source,
            destination,
            record,
            policy,
            fits: fits.into_iter().collect(),
        }
    }

    /// The definition, if nothing is wrong.
    pub(super) fn finish(self) -> Result<Definition, Reported> {
        self.fits?;
        Ok(Definition {
            id: self.id?,
            schedule: self.schedule?,
            max_lag: self.max_lag?,
            source: self.source?,
            destination: self.destination?,
            record: self.record?,
            policy: self.policy?,
        })
    }
}

/// Reads the id alone.
pub(super) fn id() -> Form<ConnectionId> {
    let shape = Shape::pattern("`account/connection`", "^[a-z0-9-]+/[a-z0-9-]+$");
    let parsed = form::parsed(shape.clone(), "text such as \"account/connection\"");
    Form::new(shape, move |value| {
        let hint = "an id is account/connection, both of a-z, 0-9 and `-`";
        parsed.read(value).map_err(|refusal| refusal.hint(hint))
    })
}

pub(super) fn id_scope() -> Form<IdScope> {
    form::one_of(&[("connection", IdScope::Connection), ("account", IdScope::Account)])
}

fn schedule(section: &mut Section<'_>) -> Result<Schedule, Reported> {
    let every = section.optional(
        "every",
        Form::new(Shape::Duration(Interval::MIN..=Interval::MAX), |value| {
            Interval::new(form::any_duration(value)?)
                .map_err(|error| Refusal::new(error.to_string()))
        }),
    );
    let expression = Shape::pattern("five fields", "^\\s*\\S+(\\s+\\S+){4}\\s*$");
    let expression = section.optional("cron", checked(expression, Cron::check_expression));
    let timezone = Shape::pattern("IANA time zone", "^\\S+$");
    let timezone = section.optional("timezone", checked(timezone, Cron::check_timezone));
    let (every, expression, timezone) = (every?, expression?, timezone?);
    let hint = SCHEDULE_HINT;
    match (every, expression, timezone) {
        (Some(every), None, None) => Ok(Schedule::Every(every)),
        (Some(_), Some(_), _) => Err(section.conflict("cron", "excludes `every`", hint)),
        (Some(_), None, Some(_)) => {
            Err(section.conflict("timezone", "belongs to `cron`, and there is none", hint))
        }
        (None, Some(expression), Some(timezone)) => Cron::new(&expression, &timezone)
            .map(Schedule::Cron)
            .map_err(|error| section.conflict("cron", &error.to_string(), hint)),
        (None, Some(_), None) => Err(section.missing("timezone", hint)),
        (None, None, _) => Err(section.missing("every", hint)),
    }
}

/// Text that passes a check of its own.
fn checked(shape: Shape, check: fn(&str) -> Result<(), CronError>) -> Form<String> {
    let checked = move |text: String| {
        check(&text).map_err(|error| Refusal::new(error.to_string()))?;
        Ok(text)
    };
    form::text().then(checked).shaped(shape)
}

/// By default three intervals, and never less than one and a half: a single run that is late or
/// slow must not raise an alarm.
fn max_lag(section: &mut Section<'_>, schedule: Option<&Schedule>) -> Result<Duration, Reported> {
    let given = section.optional("max_lag", form::duration(Interval::MIN..=Interval::MAX * 20));
    let given = given?;
    let interval = schedule.ok_or(Reported)?.interval_longest();
    match given {
        None => Ok(interval * 3),
        Some(max_lag) if max_lag >= interval + interval / 2 => Ok(max_lag),
        Some(_) => {
            let least = duration::text(interval + interval / 2);
            Err(section.conflict(
                "max_lag",
                "is below 1.5 × the interval, so a single late run would raise an alarm",
                &format!("at least '{least}'; without it, 3 × the interval holds"),
            ))
        }
    }
}

// What has to fit together is looked up in the table itself, so that it is checked even where
// another key of the same section is wrong.

fn deletions_are_possible(table: &Table, reports: &Reports) -> Result<(), Reported> {
    let Some(deletions) = table.find(&["policy", "deletions"]) else { return Ok(()) };
    if deletions.text() != Some("propagate") {
        return Ok(());
    }
    let refuse = |message: &str, hint: &str| {
        let path = "policy.deletions";
        let message = format!("`{path}` is \"propagate\", but {message}");
        Err(reports.between(Problem::new(&deletions.at, path.to_owned(), message).hint(hint)))
    };
    let mut possible = Ok(());
    if table.find(&["destination", "kind"]).is_some()
        && table.find(&["destination", "delete"]).is_none()
    {
        possible = refuse(
            "the destination has no rule for deletions",
            "give `destination.delete`, or write deletions = \"keep\"",
        );
    }
    if table.find(&["id_scope"]).and_then(Node::text) == Some("account") {
        possible = refuse(
            "with id_scope = \"account\" other connections may write the same records",
            "write deletions = \"keep\", or leave `id_scope` out",
        );
    }
    possible
}

fn tombstone_is_free(table: &Table, reports: &Reports) -> Result<(), Reported> {
    let path = ["destination", "delete", "tombstone"];
    let Some(tombstone) = table.find(&path) else { return Ok(()) };
    let Some(field) = tombstone.text() else { return Ok(()) };
    if !record::mapped_fields(table).contains(&field) {
        return Ok(());
    }
    let path = path.join(".");
    let message =
        format!("`{path}` is a field of the record as well, so no write could tell them apart");
    let problem = Problem::new(&tombstone.at, path, message);
    Err(reports.between(problem.hint("choose a name that `record` does not map")))
}

/// A record's id has to be the source's own key, or an edited row would leave its record behind
/// under the old id. Of a Mailchimp member's ids only `contact_id` survives a change of address.
fn id_is_stable(table: &Table, reports: &Reports) -> Result<(), Reported> {
    if table.find(&["source", "kind"]).and_then(Node::text) != Some("mailchimp") {
        return Ok(());
    }
    let Some(id) = table.find(&["record", "id"]) else { return Ok(()) };
    if id.text().is_none_or(|path| path == "contact_id") {
        return Ok(());
    }
    let message = "`record.id` is not the key that a member keeps when the address changes";
    let problem = Problem::new(&id.at, "record.id".to_owned(), message.to_owned());
    Err(reports.between(problem.hint("write id = \"contact_id\"")))
}

fn required_is_mapped(table: &Table, reports: &Reports) -> Result<(), Reported> {
    let Some(Value::Array(items)) = table.find(&["policy", "required"]).map(|node| &node.value)
    else {
        return Ok(());
    };
    let fields = record::mapped_fields(table);
    let mut mapped = Ok(());
    for item in items {
        match item.text() {
            Some(field) if !fields.contains(&field) => {
                let path = "policy.required";
                let message = format!("`{path}` names a field that `record` does not map");
                let problem = Problem::new(&item.at, path.to_owned(), message);
                let hint = match nearest(field, &fields) {
                    Some(nearest) => did_you_mean(nearest),
                    None => format!("mapped are {}", list(&fields, "and")),
                };
                mapped = Err(reports.between(problem.hint(hint)));
            }
            _ => {}
        }
    }
    mapped
}

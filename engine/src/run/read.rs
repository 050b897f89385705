//! The first step: decide what the run is, and read the source.

use std::pin::pin;

use futures::TryStreamExt;
use jiff::Timestamp;
use tidemark_model::{
    defect::{self, Defect},
    definition::{Definition, Deletions, InvalidRecords},
    entry::{Committed, Coverage, DefinitionRef, FORMAT, Manifest, Prepared},
    exception::ExceptionKind,
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    receipt::{Cost, Proof, ProofKind},
    step::ReadOutcome,
};

use super::{
    Engine, base_commit,
    decision::{self, Orders},
    definition, exception, later, lost,
    preview::check_base,
    reading::StoredReading,
    resend::Edit,
    start::{LateMark, SendingTimes, Start},
};
use crate::{
    definitions::{self, StoredDefinition},
    diff::{Dirty, Resend},
    log::Log,
    port::{Host, ReadRequest, Reading},
    snapshot::Snapshot,
    staging::ReadingSession,
    store::{Folder, StoreError},
};

/// More owed records than one in so many rows are not asked for one by one: the run reads in full.
const ROWS_PER_OWED: u64 = 1_000;

/// What something is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Run,
    /// To be looked at: nothing is sent, and no decision is taken back for it.
    Preview,
}

/// How a run begins.
enum Begin {
    Start(Box<Start>),
    Skip { reason: String },
}

/// What decides whether a run reads in full.
struct Grounds<'g> {
    definition: &'g Definition,
    base: Option<&'g Committed>,
    edit: Edit,
    owed: &'g [Prepared],
    orders: &'g Orders,
    now: Timestamp,
}

impl Engine {
    /// Reads what is new at the source and proves it complete. Nothing is sent, and the log is not
    /// touched.
    ///
    /// # Errors
    /// `Gone` without a definition, `Corrupt` when the store lost something, `Unproven`, the
    /// source's, the store's, or the stop.
    pub async fn read(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
    ) -> Result<ReadOutcome, Failure> {
        self.read_for(host, connection, Purpose::Run).await
    }

    pub(super) async fn read_for(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        purpose: Purpose,
    ) -> Result<ReadOutcome, Failure> {
        let folder = self.folder(connection);
        let path = StoredReading::path(&host.owner().run_id);
        if let Some(done) = folder.document::<StoredReading>(&path).await? {
            return Ok(done.outcome(path));
        }
        let log = Log::open(&folder).await?;
        let start = match self.start(host, connection, &folder, &log, purpose).await? {
            Begin::Start(start) => *start,
            Begin::Skip { reason } => return Ok(ReadOutcome::Skipped { reason }),
        };
        let stored = self.read_source(host, &folder, &log, start).await?;
        Ok(folder.establish(&path, &stored).await?.outcome(path))
    }

    /// What the run was decided to be by its first attempt, or is decided to be now.
    async fn start(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        folder: &Folder,
        log: &Log,
        purpose: Purpose,
    ) -> Result<Begin, Failure> {
        let path = Start::path(&host.owner().run_id);
        if let Some(start) = folder.document::<Start>(&path).await? {
            if start.number < log.next_number() {
                let reason = format!("another run took number {} of the log", start.number);
                return Ok(Begin::Skip { reason });
            }
            return Ok(Begin::Start(Box::new(start)));
        }
        for entry in log.unfinished() {
            if host.is_open(&entry.owner).await {
                let reason =
                    format!("run {} ({}) is at work", entry.number, entry.owner.workflow_id);
                return Ok(Begin::Skip { reason });
            }
        }
        let start = self.decide(host, connection, folder, log, purpose).await?;
        Ok(Begin::Start(Box::new(folder.establish(&path, &start).await?)))
    }

    async fn decide(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        folder: &Folder,
        log: &Log,
        purpose: Purpose,
    ) -> Result<Start, Failure> {
        let (version, definition) = newest_definition(connection, folder).await?;
        let capabilities = self.connectors.destination(&definition)?.capabilities();
        let base = log.newest_commit();
        let decided = decision::highest(folder).await?;
        check_known(base.map(|base| &base.manifest), version, decided)?;
        let handled = base.map_or(&[][..], |base| &base.manifest.late_handled);
        let mut start = Start {
            format: FORMAT,
            number: log.next_number(),
            base: base.map(|base| base.number),
            definition_version: version,
            coverage: Coverage::Full,
            since: base.map(|base| base.manifest.complete_as_of),
            unfinished: log.unfinished().iter().map(|entry| entry.number).collect(),
            late: LateMark::open(folder, log, handled).await?,
            decided,
            sending: SendingTimes::of(&capabilities),
        };
        let owed = start.owed_entries(log).await?;
        let run_id = &host.owner().run_id;
        let manifest = base.map(|base| &base.manifest);
        let orders = Orders::load(folder, manifest, start.decided, (run_id, version)).await?;
        if !orders.send_again {
            lost::check_senders(connection, folder, log).await?;
        }
        if purpose == Purpose::Run {
            check_base(folder, orders.exactly.as_ref(), &start, run_id).await?;
        }
        start.coverage = Grounds {
            definition: &definition,
            base,
            edit: Edit::since(folder, base, &definition, version).await?,
            owed: &owed,
            orders: &orders,
            now: host.clock().now(),
        }
        .coverage();
        Ok(start)
    }

    async fn read_source(
        &self,
        host: &dyn Host,
        folder: &Folder,
        log: &Log,
        start: Start,
    ) -> Result<StoredReading, Failure> {
        let definition = definition(folder, start.definition_version).await?;
        let source = self.connectors.source(&definition)?;
        let base = base_commit(log, start.base).await?;
        let snapshot = match &base {
            Some(base) => Some(Snapshot::open(folder, &base.manifest.snapshot).await?),
            None => None,
        };
        let manifest = base.as_ref().map(|base| &base.manifest);
        let run = (host.owner().run_id.as_str(), start.definition_version);
        let orders = Orders::load(folder, manifest, start.decided, run).await?;
        if orders.remove_records {
            return self.read_nothing(host, start, &definition);
        }
        let settings = self.session_settings();
        let session =
            ReadingSession::open(folder, snapshot, start.coverage, settings, host).await?;
        let owed = start.owed_entries(log).await?;
        let request = ReadRequest {
            // Once an attempt began to read in full, every later one is asked to.
            coverage: session.coverage(),
            since: start.since,
            // A full reading shows every key that there is.
            must_see: match session.coverage() {
                Coverage::Full => Vec::new(),
                Coverage::Changes => must_see(start.dirty(folder, &owed).await?, &orders).await?,
            },
        };
        let mut reading = source.read(&request, &session, &session, host).await?;
        if reading.coverage != session.coverage() {
            return Err(Failure::new(
                FailureKind::Bug,
                Side::Source,
                "the source says that it covered something else than it began to read",
            ));
        }
        reading.complete_as_of = reading.complete_as_of.min(host.clock().now());
        let mut cost = session.cost();
        cost.add(reading.cost);
        let unchanged = match &base {
            Some(base) if !session.differs().await? => {
                self.owes_nothing(folder, base, &definition, &start).await?
            }
            _ => false,
        };
        let mut pages = session.pages();
        if defect::on(Defect::DropLastPage) {
            pages.pop();
        }
        Ok(StoredReading { format: FORMAT, start, reading, pages, cost, unchanged })
    }

    /// The reading of a run that removes every record: an operator's word stands for the source's.
    fn read_nothing(
        &self,
        host: &dyn Host,
        start: Start,
        definition: &Definition,
    ) -> Result<StoredReading, Failure> {
        if !self.connectors.destination(definition)?.capabilities().deletes {
            let message = "the definition has no rule for deletions, so no record can be removed";
            return Err(Failure::new(FailureKind::Invalid, Side::Destination, message)
                .hint("add `delete` to [connection.destination], apply it, then remove again"));
        }
        let proof = Proof { kind: ProofKind::Decision, source_total: 0, turn_count: 0 };
        let reading = Reading {
            coverage: Coverage::Full,
            complete_as_of: start.since.unwrap_or_else(|| host.clock().now()),
            proof,
            cost: Cost::default(),
            stand_in_count: 0,
            unmatched_paths: Vec::new(),
        };
        let (pages, cost) = (Vec::new(), Cost::default());
        Ok(StoredReading { format: FORMAT, start, reading, pages, cost, unchanged: false })
    }

    /// Whether a reading that shows nothing new has nothing else to do either.
    async fn owes_nothing(
        &self,
        folder: &Folder,
        base: &Committed,
        definition: &Definition,
        start: &Start,
    ) -> Result<bool, Failure> {
        let refuses_invalid = definition.policy().invalid_records() == InvalidRecords::Fail;
        let Manifest { hold, waived_removals, exceptions, definition: before, .. } = &base.manifest;
        // What was to be removed is now to stay.
        let drops_removals = definition.policy().deletions() == Deletions::Keep
            && before.version != start.definition_version
            && (hold.is_some() || waived_removals.is_some() || exceptions.is_some());
        if !start.unfinished.is_empty()
            || !start.late.is_empty()
            || start.decided > base.manifest.decided
            || base.manifest.definition.source_hash != definition.source_hash()
            || refuses_invalid && base.manifest.snapshot.invalid_count > 0
            || drops_removals
        {
            return Ok(false);
        }
        let edit = Edit::since(folder, Some(base), definition, start.definition_version).await?;
        if edit.resend != Resend::Nothing {
            return Ok(false);
        }
        if !exception::retry_is_due(definition.policy(), start.number) {
            return Ok(true);
        }
        let exceptions = exception::of_manifest(folder, Some(&base.manifest)).await?;
        Ok(!exceptions.iter().any(exception::is_retried))
    }
}

impl Grounds<'_> {
    fn coverage(&self) -> Coverage {
        let Some(base) = self.base else { return Coverage::Full };
        let manifest = &base.manifest;
        let now = DefinitionRef {
            version: manifest.definition.version,
            source_hash: self.definition.source_hash(),
            destination_hash: self.definition.destination_hash(),
        };
        let under_another = |entry: &Prepared| {
            let then = &entry.next.definition;
            (&then.source_hash, &then.destination_hash) != (&now.source_hash, &now.destination_hash)
        };
        let owed_count: u64 = self.owed.iter().map(|entry| entry.push.sent()).sum();
        let due_at = later(manifest.full_read_as_of, self.definition.policy().full_read());
        let full = manifest.definition.source_hash != now.source_hash
            || self.edit.new_ids
            || self.owed.iter().any(|entry| entry.coverage == Coverage::Full)
            || self.owed.iter().any(under_another)
            || self.orders.read_in_full
            || self.orders.remove_records
            // A commit that read nothing holds no rows to which changes could be added.
            || base.receipt.proof.kind == ProofKind::Decision
            || owed_count.saturating_mul(ROWS_PER_OWED) > manifest.snapshot.row_count
            || self.now >= due_at;
        if full { Coverage::Full } else { Coverage::Changes }
    }
}

/// What a commit was made under must be there: an older definition, or decisions that are counted
/// anew from a lower number, would be a store that went back in time.
fn check_known(base: Option<&Manifest>, version: u32, decided: u64) -> Result<(), StoreError> {
    let Some(manifest) = base else { return Ok(()) };
    if version < manifest.definition.version {
        return Err(StoreError::Missing { path: definitions::path(manifest.definition.version) });
    }
    if decided < manifest.decided {
        return Err(StoreError::Missing { path: decision::path(manifest.decided) });
    }
    Ok(())
}

/// The keys of what is owed, and of invalid rows that an operator wants to be read again.
async fn must_see(owed: Dirty, orders: &Orders) -> Result<Vec<String>, Failure> {
    let read_again = orders.retried.iter().filter(|name| name.kind == ExceptionKind::Invalid);
    let mut keys: Vec<String> = read_again.map(|name| name.key.clone()).collect();
    keys.extend(owed.keys.into_iter().map(|dirty| dirty.key));
    for set in owed.sets {
        let mut batches = pin!(set.keys());
        while let Some(batch) = batches.try_next().await? {
            keys.extend(batch.into_iter().map(|dirty| dirty.key));
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

async fn newest_definition(
    connection: &ConnectionId,
    folder: &Folder,
) -> Result<(u32, Definition), Failure> {
    let gone = |message: String, hint: String| {
        Err(Failure::new(FailureKind::Gone, Side::Platform, message).hint(hint))
    };
    match definitions::newest(folder).await? {
        Some(StoredDefinition { version, definition: Some(definition), .. }) => {
            Ok((version, definition))
        }
        Some(StoredDefinition { definition: None, .. }) => gone(
            format!("the connection {connection} was removed"),
            "run `tidemark apply FILE` to bring it back; the log goes on where it ended".to_owned(),
        ),
        None => gone(
            format!("the connection {connection} has no definition in this store"),
            "run `tidemark apply FILE`, or look at TIDEMARK_STORE of the worker".to_owned(),
        ),
    }
}

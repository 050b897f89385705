//! Everything that is simulated, and every action on it from outside the two APIs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    chance::Chance,
    clock::Clock,
    fault::{Fault, Script},
    ledger::{Bookkeeper, Call, Ledger, Side},
    list::List,
    mailchimp::Problem,
    member::{Status, hex},
    mutation::{Mutation, RandomKind},
    record_api::{BatchLimits, RejectRule, Space},
    roll::{Refusal, Roll},
    seed::{Seed, Sowing},
    user::User,
    view::{MemberIds, MemberView},
};

/// Why an action on the world was refused.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// No account has this key.
    #[error("no account has the API key `{0}`; add it with add_account first")]
    UnknownAccount(String),
    /// No list has this id.
    #[error("no list has the id `{0}`; add it with add_list first")]
    UnknownList(String),
    /// Ids of lists are unique in the whole world.
    #[error("there is already a list with the id `{0}`")]
    ListExists(String),
    /// No record space has this key.
    #[error("no record space has the key `{0}`; add it with add_destination first")]
    UnknownDestination(String),
    /// The list does not take the change.
    #[error("the list does not take the change: {0}")]
    Refused(#[from] Refusal),
    /// Fewer members than asked for could be drawn.
    #[error("only {found} of {wanted} members could be drawn for {kind:?}")]
    TooFew {
        /// The kind of change.
        kind: RandomKind,
        /// Members asked for.
        wanted: usize,
        /// Members that were changed.
        found: usize,
    },
}

/// Both simulated systems, their clock, their faults and the ledger of what was asked of them.
pub struct World {
    clock: Clock,
    users: RwLock<HashMap<String, Arc<User>>>,
    lists: RwLock<BTreeMap<String, Arc<List>>>,
    spaces: RwLock<HashMap<String, Arc<Space>>>,
    pub(crate) script: Script,
    pub(crate) bookkeeper: Bookkeeper,
    latency_nanos: AtomicU64,
    gzip: AtomicBool,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty world with the system's clock.
    pub fn new() -> Self {
        Self {
            clock: Clock::following(),
            users: RwLock::default(),
            lists: RwLock::default(),
            spaces: RwLock::default(),
            script: Script::new(),
            bookkeeper: Bookkeeper::new(),
            latency_nanos: AtomicU64::new(0),
            gzip: AtomicBool::new(false),
        }
    }

    // Accounts and lists.

    /// An account with one key. A key that is known stays as it is.
    pub fn add_account(&self, api_key: &str) {
        write(&self.users).entry(api_key.to_owned()).or_default();
    }

    /// A further key of the same user.
    pub fn add_key(&self, api_key: &str, same_user_as: &str) -> Result<(), WorldError> {
        let user = self.owner(same_user_as)?;
        write(&self.users).insert(api_key.to_owned(), user);
        Ok(())
    }

    /// The user gets 403 `User Disabled` from now on.
    pub fn disable_account(&self, api_key: &str) -> Result<(), WorldError> {
        self.owner(api_key)?.set_disabled(true);
        Ok(())
    }

    /// The user is served again.
    pub fn enable_account(&self, api_key: &str) -> Result<(), WorldError> {
        self.owner(api_key)?.set_disabled(false);
        Ok(())
    }

    /// The key gets 401 from now on; the lists stay.
    pub fn revoke_key(&self, api_key: &str) {
        write(&self.users).remove(api_key);
    }

    /// A list without members. Its id is unique in the whole world.
    pub fn add_list(&self, api_key: &str, list_id: &str, name: &str) -> Result<(), WorldError> {
        let owner = self.owner(api_key)?;
        let mut lists = write(&self.lists);
        if lists.contains_key(list_id) {
            return Err(WorldError::ListExists(list_id.to_owned()));
        }
        let ordinal = lists.values().map(|list| list.ordinal).max().unwrap_or(0) + 1;
        let list = List::new(list_id, name, owner, ordinal, self.now());
        lists.insert(list_id.to_owned(), Arc::new(list));
        Ok(())
    }

    /// The list is gone: 404.
    pub fn remove_list(&self, list_id: &str) -> Result<(), WorldError> {
        let removed = write(&self.lists).remove(list_id);
        removed.map(|_| ()).ok_or_else(|| WorldError::UnknownList(list_id.to_owned()))
    }

    /// A further merge field, beside FNAME, LNAME, ADDRESS and PHONE.
    pub fn add_merge_field(&self, list_id: &str, tag: &str) -> Result<(), WorldError> {
        let list = self.list(list_id)?;
        let fields = &mut list.layout().merge_fields;
        if !fields.iter().any(|field| field == tag) {
            fields.push(tag.to_owned());
        }
        Ok(())
    }

    /// Interests of a category; members have them off until they are set by the API.
    pub fn add_interests(
        &self,
        list_id: &str,
        category: &str,
        interest_ids: &[&str],
    ) -> Result<(), WorldError> {
        let list = self.list(list_id)?;
        let ids = interest_ids.iter().map(|id| (*id).to_owned());
        list.layout().interests.entry(category.to_owned()).or_default().extend(ids);
        Ok(())
    }

    /// A campaign is sent to the list now.
    pub fn send_campaign(&self, list_id: &str) -> Result<(), WorldError> {
        self.list(list_id)?.layout().campaign_sent_at = Some(self.now());
        Ok(())
    }

    /// Changes from now on are shown in the listing so many seconds late; look-ups of one member
    /// show them at once.
    pub fn set_lag(&self, list_id: &str, seconds: u32) -> Result<(), WorldError> {
        self.list(list_id)?.write().set_lag(seconds.into());
        Ok(())
    }

    // Members.

    /// Fills a list; what is added is shown at once.
    pub fn seed(&self, list_id: &str, seed: &Seed) -> Result<(), WorldError> {
        let mut sowing = Sowing::new(seed, self.now());
        let list = self.list(list_id)?;
        list.write().fill(seed.count, |slot, contact_id| sowing.member(slot, contact_id))?;
        Ok(())
    }

    /// Plays one change and returns the member's ids as they are then (for one that is deleted for
    /// ever: as they were).
    pub fn mutate(&self, list_id: &str, mutation: &Mutation) -> Result<MemberIds, WorldError> {
        let list = self.list(list_id)?;
        play(&mut list.write(), mutation, self.now())
    }

    /// Plays one kind of change on `count` members drawn by `seed`, each member at most once.
    pub fn mutate_random(
        &self,
        list_id: &str,
        kind: RandomKind,
        count: usize,
        seed: u64,
    ) -> Result<Vec<MemberIds>, WorldError> {
        let now = self.now();
        let list = self.list(list_id)?;
        let mut roll = list.write();
        roll.catch_up(now);
        let mut chance = Chance::new(seed);
        let drawn = kind.draw(&roll, count, &mut chance);
        let mut changed = Vec::with_capacity(drawn.len());
        for (number, member) in (0..).zip(drawn) {
            let mutation = kind.mutation(member, number, &mut chance);
            changed.push(play(&mut roll, &mutation, now)?);
        }
        if changed.len() < count {
            return Err(WorldError::TooFew { kind, wanted: count, found: changed.len() });
        }
        Ok(changed)
    }

    /// Members that are not archived, in truth.
    pub fn member_count(&self, list_id: &str) -> Result<usize, WorldError> {
        let mut count = 0;
        self.each_member(list_id, |_| count += 1)?;
        Ok(count)
    }

    /// Visits each member that is not archived, as it is in truth, in the order of insertion.
    pub fn each_member(
        &self,
        list_id: &str,
        mut visit: impl FnMut(&MemberView<'_>),
    ) -> Result<(), WorldError> {
        let list = self.list(list_id)?;
        let roll = list.read(self.now());
        roll.iter()
            .filter(|member| member.status != Status::Archived)
            .for_each(|member| visit(&MemberView::new(member)));
        Ok(())
    }

    // The clock and the pace.

    /// Unix seconds on the simulator's clock.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Holds the clock at a Unix second; None lets it follow the system's again.
    pub fn set_clock(&self, at: Option<i64>) {
        self.clock.set(at);
    }

    /// Moves the clock, held or not.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Each page of members takes so much longer.
    pub fn set_latency(&self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency_nanos.store(nanos, Ordering::SeqCst);
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_nanos(self.latency_nanos.load(Ordering::SeqCst))
    }

    /// Whether answers of the list API are compressed for clients that accept it. Off at first: it
    /// costs more than the page itself.
    pub fn set_gzip(&self, on: bool) {
        self.gzip.store(on, Ordering::SeqCst);
    }

    pub(crate) fn gzip(&self) -> bool {
        self.gzip.load(Ordering::SeqCst)
    }

    // The record API.

    /// A record space for a key of the header `Authorisation`. One that is known stays as it is.
    pub fn add_destination(&self, key: &str) {
        write(&self.spaces).entry(key.to_owned()).or_default();
    }

    /// A further key of the same record space.
    pub fn add_destination_key(&self, key: &str, same_space_as: &str) -> Result<(), WorldError> {
        let space = self.destination(same_space_as)?;
        write(&self.spaces).insert(key.to_owned(), space);
        Ok(())
    }

    /// The key gets 401 from now on, and its records are gone.
    pub fn remove_destination(&self, key: &str) {
        write(&self.spaces).remove(key);
    }

    /// All records by id, tombstones too.
    pub fn records(&self, key: &str) -> Result<BTreeMap<String, Value>, WorldError> {
        Ok(self.destination(key)?.records())
    }

    /// All records but those whose `tombstone_field` is true.
    pub fn live_records(
        &self,
        key: &str,
        tombstone_field: &str,
    ) -> Result<BTreeMap<String, Value>, WorldError> {
        let mut records = self.records(key)?;
        records.retain(|_, record| record.get(tombstone_field) != Some(&Value::Bool(true)));
        Ok(records)
    }

    /// How many records there are, tombstones too.
    pub fn record_count(&self, key: &str) -> Result<usize, WorldError> {
        Ok(self.destination(key)?.len())
    }

    /// Visits each record's id and JSON text, in the order of the ids, without copying them all.
    pub fn each_record(&self, key: &str, visit: impl FnMut(&str, &str)) -> Result<(), WorldError> {
        self.destination(key)?.each(visit);
        Ok(())
    }

    /// The largest batch from now on.
    pub fn set_batch_limits(&self, key: &str, limits: BatchLimits) -> Result<(), WorldError> {
        self.destination(key)?.set_limits(limits);
        Ok(())
    }

    /// Refuses some records from now on.
    pub fn reject_when(&self, key: &str, rule: RejectRule) -> Result<(), WorldError> {
        self.destination(key)?.reject(rule);
        Ok(())
    }

    /// Refuses nothing any more.
    pub fn clear_rejects(&self, key: &str) -> Result<(), WorldError> {
        self.destination(key)?.clear_rejects();
        Ok(())
    }

    // The ledger.

    /// Every call that has ended since the last reset.
    pub fn ledger(&self) -> Ledger {
        self.ledger_since(0)
    }

    /// Every call that has ended since a mark (`Ledger::mark`).
    pub fn ledger_since(&self, mark: usize) -> Ledger {
        self.bookkeeper.since(mark)
    }

    /// Forgets all calls.
    pub fn reset_ledger(&self) {
        self.bookkeeper.reset();
    }

    /// Waits until `count` calls of a side have ended since the last reset.
    pub async fn wait_calls(&self, side: Side, count: usize) {
        self.wait_until(count, |call| call.side == side).await;
    }

    /// Waits until `count` calls that fit have ended since the last reset.
    pub async fn wait_until(&self, count: usize, fits: impl Fn(&Call) -> bool) {
        self.bookkeeper.wait(count, fits).await;
    }

    // Faults.

    /// Adds a rule to the end of the script.
    pub fn add_fault(&self, fault: Fault) {
        self.script.add(fault);
    }

    /// Takes all rules off; what is held stays held.
    pub fn clear_faults(&self) {
        self.script.clear();
    }

    /// The rules that are not used up.
    pub fn faults(&self) -> Vec<Fault> {
        self.script.pending()
    }

    /// Lets go what is held under this name, and what would be.
    pub fn release(&self, hold_id: &str) {
        self.script.release(hold_id);
    }

    /// Calls held under this name now.
    pub fn held(&self, hold_id: &str) -> usize {
        self.script.held(hold_id)
    }

    /// Waits until so many calls are held under this name at once.
    pub async fn wait_held(&self, hold_id: &str, count: usize) {
        self.script.wait_held(hold_id, count).await;
    }

    // What the HTTP sides look up.

    pub(crate) fn user(&self, api_key: &str) -> Option<Arc<User>> {
        read(&self.users).get(api_key).cloned()
    }

    pub(crate) fn space(&self, key: &str) -> Option<Arc<Space>> {
        read(&self.spaces).get(key).cloned()
    }

    pub(crate) fn lists_of(&self, user: &Arc<User>) -> Vec<Arc<List>> {
        let lists = read(&self.lists);
        lists.values().filter(|list| Arc::ptr_eq(&list.owner, user)).cloned().collect()
    }

    /// A list of somebody else looks like one that does not exist.
    pub(crate) fn list_of(&self, user: &Arc<User>, list_id: &str) -> Result<Arc<List>, Problem> {
        let list = self.list(list_id).map_err(|_| Problem::not_found())?;
        if Arc::ptr_eq(&list.owner, user) { Ok(list) } else { Err(Problem::not_found()) }
    }

    fn owner(&self, api_key: &str) -> Result<Arc<User>, WorldError> {
        self.user(api_key).ok_or_else(|| WorldError::UnknownAccount(api_key.to_owned()))
    }

    fn list(&self, list_id: &str) -> Result<Arc<List>, WorldError> {
        let list = read(&self.lists).get(list_id).cloned();
        list.ok_or_else(|| WorldError::UnknownList(list_id.to_owned()))
    }

    fn destination(&self, key: &str) -> Result<Arc<Space>, WorldError> {
        self.space(key).ok_or_else(|| WorldError::UnknownDestination(key.to_owned()))
    }
}

fn play(roll: &mut Roll, mutation: &Mutation, now: i64) -> Result<MemberIds, WorldError> {
    let ids = |roll: &Roll, slot: u32| {
        let member = roll.member(slot).ok_or(Refusal::Unknown)?;
        let (contact_id, id) = (hex(&member.contact_id), hex(&member.hash));
        Ok::<_, WorldError>(MemberIds { contact_id, id, web_id: roll.web_id(slot) })
    };
    if let Mutation::DeleteForEver { member } = mutation {
        let before = ids(roll, roll.slot(member).ok_or(Refusal::Unknown)?)?;
        mutation.play(roll, now)?;
        return Ok(before);
    }
    let slot = mutation.play(roll, now)?;
    ids(roll, slot)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

//! One attempt of a step: a worker that may die, stand still, or be cut off from Temporal at any of
//! its requests and operations.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_engine::{
    inline,
    port::{Clock, Host, Stop},
};
use tidemark_model::{entry::Owner, progress::Progress};
use tokio::sync::Notify;

use crate::{run::Run, scene::Scene};

/// After so long without a sign of life from a worker Temporal starts another attempt.
const HEARTBEAT_TIMEOUT: u64 = 20_000;

/// After so long without an answer from Temporal a worker writes nothing any more.
const SILENCE: u64 = 15_000;

/// A sign of life is given this often.
const HEARTBEAT: u64 = 4_000;

/// A look at the log counts for so long.
const LOOK: u64 = 5_000;

/// The worker is dead: nothing happens any more on its behalf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dead;

pub(crate) struct Attempt {
    pub(crate) scene: Arc<Scene>,
    pub(crate) run: Arc<Run>,
    pub(crate) number: u64,
    /// Temporal takes the attempt for lost.
    pub(crate) lost: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Requests and operations so far; both ends of each count.
    place: u64,
    /// Requests to the destination so far.
    sent: u64,
    fate: Fate,
    dead: bool,
    /// Since when Temporal is out of reach.
    cut_since: Option<u64>,
    /// When Temporal says that the attempt does not count any more.
    told_at: Option<u64>,
    draining: bool,
    /// It sent after having stood still, and must live to say so: what dies in between is the one
    /// thing that the protocol leaves open.
    spared: bool,
    /// Stood still between a look and the request.
    froze_at_send: bool,
    /// When it looked for the marks of late senders.
    looked_for_marks_at: u64,
}

/// At which place what happens.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    dies: Option<u64>,
    freezes: Option<(u64, u64)>,
    is_cut: Option<u64>,
    drains: Option<u64>,
    /// The same, counted in requests to the destination: few steps get there, and most of what
    /// matters happens there.
    dies_sending: Option<u64>,
    freezes_sending: Option<(u64, u64)>,
}

/// Where a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Elsewhere,
    /// Its request to the destination is about to leave.
    Sending,
}

impl Attempt {
    pub(crate) fn begin(scene: &Arc<Scene>, run: &Arc<Run>, number: u64) -> Arc<Self> {
        let trouble = &scene.shape.trouble;
        let mut fate = Fate::default();
        if run.stormy && !scene.is_calm() {
            scene.chance(|chance| {
                // Most steps take a few operations, some take hundreds.
                let mut place = || {
                    let reach = *chance.pick(&[6, 20, 60, 200]);
                    chance.below(reach)
                };
                let places = [place(), place(), place(), place()];
                let sent = [chance.below(6), chance.below(6)];
                let still = *chance.pick(&[2_000, 8_000, 13_000, 25_000, 90_000, 1_000_000]);
                let rates = [trouble.crash, trouble.freeze].map(|rate| chance.permille(rate));
                fate.dies_sending = rates[0].then_some(sent[0]);
                fate.freezes_sending = rates[1].then_some((sent[1], still));
                let hit = [trouble.crash, trouble.freeze, trouble.cut, trouble.drain]
                    .map(|rate| chance.permille(rate));
                fate.dies = hit[0].then_some(places[0]);
                fate.freezes = hit[1].then_some((places[1], still));
                fate.is_cut = hit[2].then_some(places[2]);
                fate.drains = hit[3].then_some(places[3]);
            });
        }
        Arc::new(Self {
            scene: Arc::clone(scene),
            run: Arc::clone(run),
            number,
            lost: Notify::new(),
            state: Mutex::new(State { fate, ..State::default() }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom a line of the journal is about.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.run.id, self.number)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    pub(crate) fn froze_at_send(&self) -> bool {
        self.state().froze_at_send
    }

    pub(crate) fn has_looked_for_marks(&self) {
        self.state().looked_for_marks_at = self.scene.now();
    }

    pub(crate) fn looked_for_marks_at(&self) -> u64 {
        self.state().looked_for_marks_at
    }

    /// Whether trouble of its requests and operations may strike it.
    pub(crate) fn strikes(&self, permille: u32) -> bool {
        self.run.stormy && !self.state().spared && self.scene.strikes(permille)
    }

    /// Whether the worker dies with its next request to the destination.
    pub(crate) fn is_about_to_die(&self) -> bool {
        let state = self.state();
        let dies =
            state.fate.dies == Some(state.place) || state.fate.dies_sending == Some(state.sent);
        !state.dead && !state.spared && dies
    }

    /// Temporal says no at the next sign of life.
    pub(crate) fn tell(&self, within: u64) {
        let at = self.scene.now() + within;
        let mut state = self.state();
        if state.cut_since.is_none() {
            state.told_at.get_or_insert(at);
        }
    }

    /// Passes a place. Where nothing else can run, a worker does not stand still; a dead one is told
    /// so there, and comes to no end elsewhere.
    pub(crate) async fn pass(self: &Arc<Self>, place: Place) -> Result<(), Dead> {
        let still = {
            let mut state = self.state();
            let here = state.place;
            state.place += 1;
            let mut dies = state.fate.dies == Some(here);
            if place == Place::Sending {
                dies |= state.fate.dies_sending == Some(state.sent);
                if let Some((at, still)) = state.fate.freezes_sending
                    && at == state.sent
                {
                    state.fate.freezes = Some((here, still));
                }
                state.sent += 1;
            }
            let spared = state.spared;
            if !state.dead && !spared && dies {
                state.dead = true;
                drop(state);
                self.die();
                if place == Place::Sending && self.scene.strikes(self.scene.shape.trouble.collapse)
                {
                    self.scene.note(&format!("{} ends with its worker", self.run.id));
                    self.scene.count("trouble: run ends with its worker");
                    self.run.terminate();
                }
            } else if !state.dead && !spared && state.fate.is_cut == Some(here) {
                state.cut_since.get_or_insert(self.scene.now());
                drop(state);
                self.cut();
            } else if !state.dead && state.fate.drains == Some(here) {
                state.draining = true;
                drop(state);
                self.scene.count("trouble: worker drains");
            } else {
                drop(state);
            }
            let mut state = self.state();
            match state.fate.freezes {
                Some((at, still)) if at <= here && !state.dead && !inline::is_blocked() => {
                    state.fate.freezes = None;
                    if place == Place::Sending {
                        state.froze_at_send = still > LOOK;
                        state.spared = true;
                    }
                    Some(still)
                }
                _ => None,
            }
        };
        if let Some(still) = still {
            self.stand_still(still, place).await;
        }
        if self.state().dead {
            if inline::is_blocked() {
                return Err(Dead);
            }
            return std::future::pending().await;
        }
        Ok(())
    }

    fn die(self: &Arc<Self>) {
        self.scene.note(&format!("{} dies", self.name()));
        self.scene.count("trouble: worker dies");
        self.lose_after(HEARTBEAT_TIMEOUT - self.scene.chance(|chance| chance.below(HEARTBEAT)));
    }

    /// Temporal is out of reach from now on.
    pub(crate) fn cut_off(self: &Arc<Self>) {
        let begins = self.state().cut_since.replace(self.scene.now()).is_none();
        if begins {
            self.cut();
        }
    }

    fn cut(self: &Arc<Self>) {
        self.scene.note(&format!("{} is cut off from Temporal", self.name()));
        self.scene.count("trouble: worker cut off");
        self.lose_after(HEARTBEAT_TIMEOUT);
    }

    fn lose_after(self: &Arc<Self>, milliseconds: u64) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            this.scene.pass(milliseconds).await;
            this.lost.notify_one();
        });
    }

    async fn stand_still(self: &Arc<Self>, milliseconds: u64, place: Place) {
        let at = if place == Place::Sending { " with a request in hand" } else { "" };
        self.scene.note(&format!("{} stands still{at} for {milliseconds} ms", self.name()));
        self.scene.count(match place {
            Place::Sending => "trouble: worker freezes while sending",
            Place::Elsewhere => "trouble: worker freezes",
        });
        if milliseconds > HEARTBEAT_TIMEOUT {
            self.lose_after(HEARTBEAT_TIMEOUT);
        }
        self.scene.pass(milliseconds).await;
        if milliseconds > SILENCE {
            // It hears that another attempt is at work: at once, or with its next sign of life.
            let at_once = self.scene.chance(|chance| chance.permille(500));
            let after = self.scene.chance(|chance| chance.below(HEARTBEAT));
            let told_at = self.scene.now() + if at_once { 0 } else { after };
            self.state().told_at = Some(told_at);
        }
        self.scene.note(&format!("{} wakes", self.name()));
    }
}

/// The engine's host inside an attempt.
pub(crate) struct SoakHost {
    attempt: Arc<Attempt>,
    clock: SoakClock,
    owner: Owner,
}

struct SoakClock(Arc<Scene>);

impl SoakHost {
    pub(crate) fn new(attempt: &Arc<Attempt>) -> Self {
        let owner = Owner {
            namespace: "default".to_owned(),
            workflow_id: format!("sync/acme/newsletter-{}", attempt.run.id),
            run_id: attempt.run.id.clone(),
        };
        Self { attempt: Arc::clone(attempt), clock: SoakClock(Arc::clone(&attempt.scene)), owner }
    }
}

#[async_trait]
impl Clock for SoakClock {
    fn now(&self) -> Timestamp {
        self.0.worker_time()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[async_trait]
impl Host for SoakHost {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn stop(&self) -> Option<Stop> {
        let now = self.attempt.scene.now();
        let state = self.attempt.state();
        let silent = state.cut_since.is_some_and(|since| now > since + SILENCE);
        if silent || state.told_at.is_some_and(|told| now >= told) {
            Some(Stop::Superseded)
        } else if self.attempt.run.is_cancelled() {
            Some(Stop::Cancelled)
        } else if state.draining {
            Some(Stop::Draining)
        } else {
            None
        }
    }

    async fn stopped(&self) {
        std::future::pending().await
    }

    fn report(&self, _: Progress) {}

    async fn is_open(&self, owner: &Owner) -> bool {
        let books = self.attempt.scene.books();
        books.runs.get(&owner.run_id).is_some_and(|run| run.is_open())
    }
}

//! Faults on demand: a script of rules, each for some calls, and holds that keep a call waiting until
//! it is released.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::Method;
use serde::{Deserialize, Serialize};

use crate::{bell::Bell, ledger::Side};

/// What happens to a call that a rule takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultAction {
    /// Answered with a status and the JSON error body of that side; not applied.
    Status {
        /// The status.
        status: u16,
        /// Of the error body; default: the status's own text.
        #[serde(default)]
        title: Option<String>,
        /// Sends `Retry-After` with so many seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Answered with a page of HTML, as a CDN does; not applied.
    Html {
        /// The status.
        status: u16,
    },
    /// Answered with a status and no body; not applied.
    Empty {
        /// The status.
        status: u16,
    },
    /// Applied; half of the body arrives, then the connection breaks.
    Truncate,
    /// Applied; half of the body arrives and pretends to be all of it.
    CutShort,
    /// Applied; one text in the body is not UTF-8.
    InvalidUtf8,
    /// Applied, and nothing else: for a rule that only delays.
    Delay,
    /// Not applied; the connection breaks without an answer.
    Drop,
    /// Applied; the connection breaks without an answer.
    ApplyThenDrop,
    /// Waits until it is released, then is applied and answered.
    Hold {
        /// The name to release it by.
        id: String,
    },
    /// Applied; the answer waits until it is released.
    ApplyThenHold {
        /// The name to release it by.
        id: String,
    },
}

/// A rule of the script. The oldest rule that matches a call and is not used up takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The side it is for.
    pub side: Side,
    /// Only calls with this method; any if none.
    #[serde(default)]
    pub method: Option<String>,
    /// Only calls whose path begins so; `/` = any.
    #[serde(default = "any_path")]
    pub path: String,
    /// Calls it lets pass first.
    #[serde(default)]
    pub skip: u64,
    /// Calls it takes then.
    #[serde(default = "once")]
    pub times: u64,
    /// Milliseconds to wait before anything else.
    #[serde(default)]
    pub delay_millis: u64,
    /// What it does.
    pub action: FaultAction,
}

fn any_path() -> String {
    "/".to_owned()
}

fn once() -> u64 {
    1
}

impl Fault {
    /// The next call of a side.
    pub fn next(side: Side, action: FaultAction) -> Self {
        Self { side, method: None, path: any_path(), skip: 0, times: 1, delay_millis: 0, action }
    }

    /// Only calls with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only calls whose path begins so.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Lets so many calls pass first.
    #[must_use]
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Takes so many calls.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Waits before anything else.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay_millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    fn matches(&self, side: Side, method: &Method, path: &str) -> bool {
        self.side == side
            && self.method.as_deref().is_none_or(|m| m.eq_ignore_ascii_case(method.as_str()))
            && path.starts_with(&self.path)
    }
}

/// The rules that are still to be played, and the calls that are held.
pub(crate) struct Script {
    rules: Mutex<VecDeque<Fault>>,
    gates: Mutex<HashMap<String, Gate>>,
    changed: Bell,
}

#[derive(Default)]
struct Gate {
    /// Calls that wait now.
    held: usize,
    open: bool,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self { rules: Mutex::default(), gates: Mutex::default(), changed: Bell::new() }
    }

    pub(crate) fn add(&self, fault: Fault) {
        // A hold that was released once holds again when it is scripted anew.
        if let FaultAction::Hold { id } | FaultAction::ApplyThenHold { id } = &fault.action {
            self.gates().entry(id.clone()).or_default().open = false;
        }
        if fault.times > 0 {
            self.rules().push_back(fault);
        }
    }

    pub(crate) fn clear(&self) {
        self.rules().clear();
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.rules().iter().cloned().collect()
    }

    /// The fault that takes this call, if any does.
    pub(crate) fn take(&self, side: Side, method: &Method, path: &str) -> Option<Fault> {
        let mut rules = self.rules();
        let place = rules.iter().position(|rule| rule.matches(side, method, path))?;
        let rule = rules.get_mut(place)?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times = rule.times.saturating_sub(1);
        let fault = rule.clone();
        if rule.times == 0 {
            rules.remove(place);
        }
        Some(fault)
    }

    /// Waits until the hold is released.
    pub(crate) async fn hold(&self, id: &str) {
        self.gates().entry(id.to_owned()).or_default().held += 1;
        self.changed.ring();
        self.changed.until(|| self.gates().get(id).is_none_or(|gate| gate.open)).await;
        if let Some(gate) = self.gates().get_mut(id) {
            gate.held = gate.held.saturating_sub(1);
        }
        self.changed.ring();
    }

    pub(crate) fn release(&self, id: &str) {
        self.gates().entry(id.to_owned()).or_default().open = true;
        self.changed.ring();
    }

    pub(crate) fn release_all(&self) {
        self.gates().values_mut().for_each(|gate| gate.open = true);
        self.changed.ring();
    }

    pub(crate) fn held(&self, id: &str) -> usize {
        self.gates().get(id).map_or(0, |gate| gate.held)
    }

    pub(crate) async fn wait_held(&self, id: &str, count: usize) {
        self.changed.until(|| self.held(id) >= count).await;
    }

    fn rules(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<String, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

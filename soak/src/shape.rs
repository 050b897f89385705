//! What a seed is like: the list, the limits, and which kinds of trouble it meets.
//!
//! Every seed has some kinds of trouble and lacks others, so that each is also met without the noise
//! of all the rest.

use tidemark_model::defect::Defect;

use crate::chance::Chance;

/// Drawn once from the seed.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) rows: u64,
    pub(crate) page_size: u64,
    pub(crate) simultaneous_requests: u64,
    /// How late a change is listed at most, and how late it is, in seconds.
    pub(crate) settle: u64,
    pub(crate) lag: u64,
    pub(crate) batch_records: u64,
    pub(crate) simultaneous_batches: u64,
    /// Seconds after which a request to the destination is given up, and for which it may still
    /// be at work then.
    pub(crate) timeout: u64,
    pub(crate) destination_settle: u64,
    pub(crate) tombstone: bool,
    pub(crate) keep: bool,
    pub(crate) fail_invalid: bool,
    pub(crate) require_email: bool,
    pub(crate) full_read_hours: u64,
    pub(crate) retry_rejected: u64,
    /// More removals than this are held, if they are more than a tenth.
    pub(crate) hold_over: u64,
    pub(crate) keep_commits: u64,
    pub(crate) runs: u64,
    /// Next to nothing fits into the workers' memory.
    pub(crate) spills: bool,
    /// How far the workers' clock is from the source's, in milliseconds.
    pub(crate) skew: i64,
    /// Milliseconds of a request, as a rule.
    pub(crate) latency: u64,
    /// Old senders often outlast the runs that they belong to.
    pub(crate) two_senders: bool,
    pub(crate) trouble: Trouble,
}

/// Chances in a thousand, 0 for a kind that the seed does not have.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Of each event between runs to be an edit of the definition.
    pub(crate) edit: u32,
    /// Of each request to the source to meet a change of the list.
    pub(crate) churn: u32,
    /// Of each operation of the store.
    pub(crate) store: u32,
    pub(crate) slow_store: u32,
    /// Of each request.
    pub(crate) source: u32,
    pub(crate) destination: u32,
    /// Of each attempt.
    pub(crate) crash: u32,
    pub(crate) freeze: u32,
    pub(crate) cut: u32,
    pub(crate) drain: u32,
    /// Of each run.
    pub(crate) terminate: u32,
    /// Of each run that is terminated: its worker does not hear of it.
    pub(crate) partition: u32,
    /// Of each worker that dies with a request in hand: its run ends with it.
    pub(crate) collapse: u32,
    pub(crate) overlap: u32,
    pub(crate) lost_page: u32,
    /// Of each event between runs: the destination refuses a record from now on.
    pub(crate) refuse: u32,
    /// Of each event between runs: most of the list is archived at once.
    pub(crate) purge: u32,
    /// Of each event between runs, and of each run: an operator decides something.
    pub(crate) decide: u32,
    /// Of each run: the store is swept meanwhile.
    pub(crate) sweep: u32,
    /// Of each event between runs: nothing happens for more than a day.
    pub(crate) silence: u32,
    /// Of each change: a member comes without its contact id, or with it again.
    pub(crate) lost_keys: u32,
    /// Of each look-up of a member: it goes just before.
    pub(crate) doomed: u32,
}

impl Shape {
    /// Whether a seed can show what a rule is for that is switched off. Most seeds can show most
    /// rules; some rules need what few seeds have, and the others would only take their time.
    pub(crate) fn shows(seed: u64, without: Option<Defect>) -> bool {
        let Some(defect) = without else { return true };
        let shape = Self::draw(&mut Chance::new(seed));
        match defect {
            Defect::SkipFence => shape.two_senders,
            Defect::ForgetQuietTime => shape.leaves_requests_behind(),
            Defect::IgnoreLateMarks | Defect::SkipLastLook => shape.wakes_beside_another_run(),
            Defect::SkipSettleWait => shape.trouble.doomed > 0,
            Defect::ForgetLostKeys => shape.trouble.lost_keys > 0,
            _ => true,
        }
    }

    /// A request that was given up may take effect when its batch was sent once more, the run was
    /// committed, and the next one has read and sent: that takes more than a few seconds, and less
    /// if the reading does not wait for the source.
    fn leaves_requests_behind(&self) -> bool {
        let long = self.destination_settle >= 20 && self.settle <= 5;
        self.is_usual() && long && self.trouble.destination > 0 && self.trouble.churn > 0
    }

    /// Only a sender that stood still leaves a late mark, and it does harm only when another run
    /// has sent meanwhile.
    fn wakes_beside_another_run(&self) -> bool {
        let another = self.trouble.overlap > 0 || self.trouble.terminate > 0;
        self.is_usual() && another && self.trouble.freeze > 0
    }

    /// A large list takes as long as many small ones. Where runs end one after the other while they
    /// send, hardly any commits before the old sender wakes, and all is sent again.
    fn is_usual(&self) -> bool {
        self.rows <= 1_000 && !self.two_senders
    }

    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let large = chance.permille(30);
        // Slow requests that are given up early: an old sender outlasts the wait of the new one.
        let slow = !large && chance.permille(100);
        let rows = if large { chance.between(1_001, 1_600) } else { chance.between(3, 30) };
        let settle = *chance.pick(&[0, 0, 2, 5, 30]);
        Self {
            rows,
            page_size: if large { chance.between(100, 200) } else { chance.between(2, 12) },
            simultaneous_requests: chance.between(1, 4),
            settle,
            lag: if chance.permille(600) { settle } else { 0 },
            batch_records: match (large, slow) {
                (true, _) => chance.between(200, 400),
                (false, true) => 1,
                (false, false) => chance.between(1, 5),
            },
            simultaneous_batches: if slow { 1 } else { chance.between(1, 3) },
            timeout: if slow { 1 } else { *chance.pick(&[2, 5, 10, 30]) },
            destination_settle: if slow { 0 } else { *chance.pick(&[0, 0, 3, 20]) },
            tombstone: chance.permille(500),
            keep: chance.permille(120),
            fail_invalid: chance.permille(80),
            require_email: chance.permille(300),
            full_read_hours: *chance.pick(&[2, 24, 24 * 30, 24 * 30]),
            retry_rejected: chance.between(1, 4),
            hold_over: *chance.pick(&[1, 3, 100, 100]),
            keep_commits: chance.between(1, 4),
            runs: if large { chance.between(3, 6) } else { chance.between(3, 15) },
            spills: chance.permille(60),
            skew: if chance.permille(500) {
                i64::try_from(chance.below(80_000)).unwrap_or(0) - 40_000
            } else {
                0
            },
            latency: if slow { 1_500 } else { *chance.pick(&[20, 100, 300, 1_500]) },
            two_senders: slow,
            trouble: if slow {
                Trouble::draw(chance).of_two_senders()
            } else {
                Trouble::draw(chance)
            },
        }
        .with_doom()
    }

    /// Rows go while somebody looks at them in particular, and the list shows it late.
    fn with_doom(self) -> Self {
        if self.trouble.doomed == 0 || !self.is_usual() {
            return Self { trouble: Trouble { doomed: 0, ..self.trouble }, ..self };
        }
        let decide = self.trouble.decide.max(400);
        Self {
            settle: 30,
            lag: 30,
            full_read_hours: 24 * 30,
            trouble: Trouble { decide, ..self.trouble },
            ..self
        }
    }
}

impl Trouble {
    /// Runs end while their workers send, and the next ones follow at once.
    fn of_two_senders(self) -> Self {
        Self { freeze: 600, terminate: 600, partition: 400, destination: 0, ..self }
    }

    fn draw(chance: &mut Chance) -> Self {
        let mut some = |share: u32, low: u64, high: u64| {
            let rate = chance.between(low, high);
            let met = chance.permille(share);
            if met { u32::try_from(rate).unwrap_or(0) } else { 0 }
        };
        Self {
            edit: some(350, 40, 200),
            churn: some(600, 50, 900),
            store: some(400, 2, 25),
            slow_store: some(250, 5, 60),
            source: some(450, 10, 120),
            destination: some(550, 30, 300),
            crash: some(500, 100, 600),
            freeze: some(400, 100, 500),
            cut: some(350, 100, 500),
            drain: some(250, 50, 300),
            terminate: some(450, 100, 600),
            partition: some(500, 300, 1_000),
            collapse: some(500, 200, 900),
            overlap: some(350, 100, 500),
            lost_page: some(80, 50, 300),
            refuse: some(250, 50, 250),
            purge: some(200, 50, 250),
            decide: some(400, 100, 500),
            sweep: some(300, 100, 500),
            silence: some(300, 50, 300),
            lost_keys: 0,
            doomed: 0,
        }
        .with_more(&mut chance.aside())
    }

    /// What came later: it is drawn aside, so that a seed without it plays what it always played.
    fn with_more(self, aside: &mut Chance) -> Self {
        let mut some = |share: u32, low: u64, high: u64| {
            let rate = aside.between(low, high);
            let met = aside.permille(share);
            if met { u32::try_from(rate).unwrap_or(0) } else { 0 }
        };
        Self { lost_keys: some(150, 20, 200), doomed: some(150, 100, 600), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hunt goes on until it has found a seed that fits.
    #[test]
    fn each_rule_has_seeds_that_can_show_it() {
        for defect in Defect::ALL {
            let fitting = (1..=2_000).filter(|seed| Shape::shows(*seed, Some(defect))).count();
            assert!(fitting >= 50, "{defect:?}: {fitting} of 2,000 seeds");
        }
    }
}

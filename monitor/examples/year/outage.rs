//! Whether outages were told, once and in time.

use tidemark_monitor::rules::{Part, Phase};

use crate::guard::Guard;
use crate::span::{HOUR, MINUTE, Span, second};
use crate::world::World;

/// Holds the told outages against those that there were.
pub(crate) fn count_outages(guard: &Guard, world: &mut World) {
    let script = &world.script;
    let tally = &mut world.truth.tally;
    for (at, _, outage) in guard.outages.iter().filter(|(.., one)| one.part == Part::Unseen) {
        let until = outage.until.map_or(*at, second);
        let span = Span { from: second(outage.since), to: until };
        let stops = script.platform.within(span).filter(|out| out.length() >= 2 * MINUTE);
        if stops.count() == 0 {
            tally.outages.lies += 1;
            tally.sample("no outage", format!("{at}: {span:?} unseen"));
        }
    }
    for (part, spans) in [(Part::Temporal, &script.temporal), (Part::Workers, &script.workers)] {
        let told = |phase| {
            let of_part = guard.outages.iter();
            of_part
                .filter(move |(_, told, outage)| *told == phase && outage.part == part)
                .map(|(at, ..)| *at)
        };
        for at in told(Phase::Opened) {
            // It may be told while the other part is out, or just as it ends.
            let true_one =
                spans.at(at).or(spans.last_before(at).filter(|out| at < out.to + MINUTE));
            if true_one.is_none_or(|out| out.length() < 2 * MINUTE) {
                tally.outages.lies += 1;
                tally.sample("no outage", format!("{at}: {part}"));
            }
        }
        for out in spans.iter().filter(|out| out.to <= script.end() - 10 * MINUTE) {
            let count = told(Phase::Opened).filter(|at| out.holds(*at)).count();
            if out.length() >= 2 * MINUTE {
                tally.outages.cases += 1;
                tally.outages.told += u64::from(count > 0);
            }
            if count > 1 {
                tally.outages.twice += 1;
                tally.sample("outage told twice", format!("{part} {out:?}"));
            }
            // From when on a watch could see it for long enough.
            let mut from = out.from;
            // A restart does not matter.
            let unseen = script.unwatched.within(out).filter(|away| away.length() > MINUTE);
            let masked = script.temporal.within(out).filter(|_| part == Part::Workers);
            let mut kept: Vec<_> = unseen.chain(masked).collect();
            kept.sort_unstable();
            for span in kept {
                if span.from < from + 6 * MINUTE {
                    from = from.max(span.to);
                }
            }
            let by = from + 5 * MINUTE;
            let first = told(Phase::Opened).find(|at| out.holds(*at));
            if by < out.to && first.is_none_or(|at| at > by) {
                tally.outages.missed += 1;
                tally.sample("outage missed", format!("{part} {out:?} by {by}, told {first:?}"));
            }
            if let Some(at) = first {
                tally.outages.latest = tally.outages.latest.max(at - from);
            }
            let seen_at = script.unwatched.at(out.to).map_or(out.to, |away| away.to);
            let seen = seen_at <= script.end() - 10 * MINUTE;
            if count > 0 && seen && !told(Phase::Closed).any(|at| at >= out.to) {
                tally.outages.unclosed += 1;
                let around = script.around(0, Span { from: out.from, to: out.to + HOUR });
                tally.sample("outage never told that it is over", format!("{part}; {around}"));
            }
        }
    }
}

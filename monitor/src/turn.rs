//! Whose turn it is in a pass that cannot look at everybody.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;

/// Who is looked at.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) whom: Vec<ConnectionId>,
    /// Of the audit's share, who has to wait for the next pass.
    pub(crate) left: Vec<ConnectionId>,
}

impl Turn {
    /// At most so many: who is doubted or listened to and the audit's share first, which are few and
    /// have nobody else to propose them; then the others, those first that were not looked at for longest. So
    /// many that visibility proposes again and again starve nobody.
    pub(crate) fn of<'a, 'b>(
        doubted: impl Iterator<Item = &'a ConnectionId>,
        audited: Vec<ConnectionId>,
        others: impl Iterator<Item = &'b ConnectionId>,
        looked: &BTreeMap<ConnectionId, Timestamp>,
        most: usize,
    ) -> Self {
        let mut chosen = BTreeSet::new();
        let mut turn = Self::default();
        for connection in doubted {
            if turn.whom.len() < most && chosen.insert(connection.clone()) {
                turn.whom.push(connection.clone());
            }
        }
        for connection in audited {
            if chosen.contains(&connection) {
                continue;
            }
            if turn.whom.len() < most {
                chosen.insert(connection.clone());
                turn.whom.push(connection);
            } else {
                turn.left.push(connection);
            }
        }
        let mut others: Vec<&ConnectionId> = others.collect();
        // Who was never looked at comes first, in the order given.
        others.sort_by_key(|connection| looked.get(*connection));
        for connection in others {
            if turn.whom.len() < most && chosen.insert(connection.clone()) {
                turn.whom.push(connection.clone());
            }
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<ConnectionId> {
        names.iter().map(|name| format!("acme/{name}").parse().unwrap()).collect()
    }

    #[test]
    fn many_suspects_starve_nobody() {
        let (doubted, audited) = (ids(&["doubt"]), ids(&["audit", "b"]));
        let others = ids(&["a", "b", "c", "d"]);
        let mut looked = BTreeMap::new();
        let mut seen = Vec::new();
        for pass in 0..3 {
            let turn = Turn::of(doubted.iter(), audited.clone(), others.iter(), &looked, 4);
            assert_eq!(turn.whom[..3], ids(&["doubt", "audit", "b"])[..]);
            assert!(turn.left.is_empty());
            seen.extend(turn.whom[3..].to_vec());
            let at = Timestamp::from_second(pass).unwrap();
            looked.extend(turn.whom.into_iter().map(|connection| (connection, at)));
        }
        assert_eq!(seen, ids(&["a", "c", "d"]));
    }

    #[test]
    fn who_is_cut_off_the_audit_is_given_back() {
        let (doubted, audited) = (ids(&["x", "y"]), ids(&["y", "a", "b"]));
        let turn = Turn::of(doubted.iter(), audited, [].into_iter(), &BTreeMap::new(), 3);
        assert_eq!((turn.whom, turn.left), (ids(&["x", "y", "a"]), ids(&["b"])));
    }
}

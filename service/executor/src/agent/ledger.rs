//! Which plan runs, which is prepared, and what a message may still change: the agent's state machine.
//!
//! Messages may come twice, late, or in another order than they were sent. The rules:
//!
//! | message for version v | v runs | v is prepared | v ≤ highest otherwise | v > highest |
//! |---|---|---|---|---|
//! | prepare | done already | done already | stale | begin; whatever else was prepared is dropped |
//! | commit | done already | switch | not prepared, or stale | not prepared |
//! | abort | refused: it runs | drop it | done already | done, and v is never prepared |
//!
//! *Highest* is the highest version ever heard of. It only grows, so a version that was refused, aborted or superseded
//! is dead: no replay brings it back. A second plan under the version of a live one is a conflict, told by its digest.
//! Nothing here does anything: the caller does it, and reports by [`Ledger::prepared`], [`Ledger::committed`] and
//! [`Ledger::dropped`].

use crate::runtime::PlanVersion;
use std::fmt;

/// SHA-256 of a plan's orders as they were sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A plan, told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Version.
    pub version: PlanVersion,
    /// Digest of its orders.
    pub digest: Digest,
}

/// What to do about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Do it. For a prepare, the plan named is dropped first.
    Do(Option<PlanVersion>),
    /// Nothing: it was done already.
    Done,
}

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The version is behind the times.
    Stale,
    /// The version is that of another plan.
    Conflict,
    /// There is no prepared plan of this version.
    NotPrepared,
    /// The plan runs: it can be replaced, not aborted.
    Runs,
}

/// The state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    running: Option<Known>,
    prepared: Option<Known>,
    /// The plan that is being prepared.
    wanted: Option<PlanVersion>,
    highest: u64,
}

impl Ledger {
    /// After a restart: what ran, and the highest version heard of.
    #[must_use]
    pub fn restored(running: Option<Known>, highest: u64) -> Self {
        Self {
            running,
            prepared: None,
            wanted: None,
            highest: highest.max(running.map_or(0, |k| k.version.0)),
        }
    }

    /// The plan that runs.
    #[must_use]
    pub fn running(&self) -> Option<Known> {
        self.running
    }

    /// The plan that is prepared.
    #[must_use]
    pub fn ready(&self) -> Option<Known> {
        self.prepared
    }

    /// Highest version ever heard of; 0: none.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// A prepare has come. After [`Act::Do`] the version counts as heard of, whatever becomes of it.
    ///
    /// # Errors
    /// [`Wrong::Stale`] or [`Wrong::Conflict`].
    pub fn prepare(&mut self, plan: Known) -> Result<Act, Wrong> {
        for live in [self.running, self.prepared].into_iter().flatten() {
            if live.version == plan.version {
                return if live == plan { Ok(Act::Done) } else { Err(Wrong::Conflict) };
            }
        }
        if plan.version.0 <= self.highest {
            return Err(Wrong::Stale);
        }
        self.highest = plan.version.0;
        self.wanted = Some(plan.version);
        Ok(Act::Do(self.prepared.take().map(|k| k.version)))
    }

    /// A plan has been prepared. `false`: meanwhile it was aborted or superseded, and is to be dropped.
    pub fn prepared(&mut self, plan: Known) -> bool {
        let wanted = self.wanted == Some(plan.version);
        if wanted {
            (self.prepared, self.wanted) = (Some(plan), None);
        }
        wanted
    }

    /// A commit has come. The state changes when the switch is made: [`Ledger::committed`].
    ///
    /// # Errors
    /// [`Wrong::NotPrepared`] or [`Wrong::Stale`].
    pub fn commit(&self, version: PlanVersion) -> Result<Act, Wrong> {
        match (self.running, self.prepared) {
            (_, Some(plan)) if plan.version == version => Ok(Act::Do(None)),
            (Some(plan), _) if plan.version == version => Ok(Act::Done),
            (Some(plan), _) if version < plan.version => Err(Wrong::Stale),
            _ => Err(Wrong::NotPrepared),
        }
    }

    /// The prepared plan runs now. Returns the plan before it.
    pub fn committed(&mut self) -> Option<Known> {
        let before = self.running;
        if let Some(plan) = self.prepared.take() {
            self.running = Some(plan);
        }
        before
    }

    /// An abort has come. After [`Act::Do`] the prepared plan is forgotten.
    ///
    /// # Errors
    /// [`Wrong::Runs`].
    pub fn abort(&mut self, version: PlanVersion) -> Result<Act, Wrong> {
        if self.running.is_some_and(|k| k.version == version) {
            return Err(Wrong::Runs);
        }
        if self.prepared.is_some_and(|k| k.version == version) {
            self.prepared = None;
            return Ok(Act::Do(Some(version)));
        }
        self.wanted = self.wanted.filter(|wanted| *wanted != version);
        self.highest = self.highest.max(version.0);
        Ok(Act::Done)
    }

    /// A plan was dropped for another reason: it could not be prepared, its time was over, or the switch failed.
    pub fn dropped(&mut self) -> Option<PlanVersion> {
        self.wanted = None;
        self.prepared.take().map(|k| k.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[derive(Debug, Clone, Copy)]
    enum Message {
        /// Version, one of two bodies, and whether the runtime can run it.
        Prepare(u64, u8, bool),
        Commit(u64, bool),
        Abort(u64),
        Expire,
        Restart,
    }

    fn message() -> impl Strategy<Value = Message> {
        let version = 1_u64..7;
        prop_oneof![
            4 => (version.clone(), 0_u8..2, prop::bool::weighted(0.8)).prop_map(|(v, d, ok)| Message::Prepare(v, d, ok)),
            4 => (version.clone(), prop::bool::weighted(0.8)).prop_map(|(v, ok)| Message::Commit(v, ok)),
            2 => version.prop_map(Message::Abort),
            1 => Just(Message::Expire),
            1 => Just(Message::Restart),
        ]
    }

    fn plan(version: u64, body: u8) -> Known {
        Known { version: PlanVersion(version), digest: Digest::of(&[body]) }
    }

    /// Does what the agent does about a message, and tells whether it changed the running plan.
    fn deliver(ledger: &mut Ledger, message: Message) -> Result<Act, Wrong> {
        match message {
            Message::Prepare(version, body, able) => {
                let act = ledger.prepare(plan(version, body))?;
                if act != Act::Done && able {
                    assert!(ledger.prepared(plan(version, body)));
                } else if act != Act::Done {
                    assert_eq!(ledger.dropped(), None);
                }
                Ok(act)
            }
            Message::Commit(version, able) => {
                let act = ledger.commit(PlanVersion(version))?;
                if act != Act::Done {
                    if able {
                        ledger.committed()
                    } else {
                        ledger.dropped().map(|v| plan(v.0, 0))
                    };
                }
                Ok(act)
            }
            Message::Abort(version) => ledger.abort(PlanVersion(version)),
            Message::Expire => Ok(ledger.dropped().map_or(Act::Done, |v| Act::Do(Some(v)))),
            Message::Restart => {
                *ledger = Ledger::restored(ledger.running(), ledger.highest());
                Ok(Act::Done)
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_comes_in_whatever_order(messages in prop::collection::vec(message(), 0..40)) {
            let mut ledger = Ledger::default();
            let mut dead: BTreeSet<u64> = BTreeSet::new();
            let mut ran: BTreeMap<u64, Digest> = BTreeMap::new();
            for message in messages {
                let before = ledger;
                let act = deliver(&mut ledger, message);
                let version = |k: Option<Known>| k.map_or(0, |k| k.version.0);
                // Versions only grow.
                prop_assert!(ledger.highest() >= before.highest());
                prop_assert!(version(ledger.running()) >= version(before.running()));
                prop_assert!(ledger.highest() >= version(ledger.running()).max(version(ledger.ready())));
                prop_assert!(ledger.ready().is_none_or(|k| k.version.0 > version(ledger.running())));
                // Only the commit of what was prepared changes what runs.
                if ledger.running() != before.running() {
                    prop_assert!(matches!(message, Message::Commit(v, true) if version(before.ready()) == v));
                    prop_assert_eq!(ledger.running(), before.ready());
                }
                // A refused message changes nothing.
                if act.is_err() {
                    prop_assert_eq!(ledger, before);
                }
                // What was dropped never comes back, and one version never runs two plans.
                let gone = before.ready().filter(|k| Some(*k) != ledger.ready() && Some(*k) != ledger.running());
                dead.extend(gone.map(|k| k.version.0));
                if let (Message::Abort(v), Ok(Act::Done)) = (message, act) {
                    dead.insert(v);
                }
                for live in [ledger.running(), ledger.ready()].into_iter().flatten() {
                    prop_assert!(!dead.contains(&live.version.0), "{live:?} is dead");
                }
                if let Some(k) = ledger.running() {
                    prop_assert_eq!(*ran.entry(k.version.0).or_insert(k.digest), k.digest);
                }
            }
        }

        #[test]
        fn a_message_that_comes_twice_does_nothing_the_second_time(
            messages in prop::collection::vec(message(), 1..40), last in message()
        ) {
            let mut ledger = Ledger::default();
            for message in messages {
                let _ = deliver(&mut ledger, message);
            }
            let first = deliver(&mut ledger, last);
            let after = ledger;
            let second = deliver(&mut ledger, last);
            prop_assert_eq!(ledger, after);
            match (last, first) {
                // What failed stays failed: the version is dead.
                (Message::Prepare(_, _, false), Ok(Act::Do(_))) => prop_assert_eq!(second, Err(Wrong::Stale)),
                (Message::Commit(_, false), Ok(Act::Do(_))) => prop_assert!(second.is_err()),
                (_, Ok(_)) => prop_assert_eq!(second, Ok(Act::Done)),
                (_, Err(wrong)) => prop_assert_eq!(second, Err(wrong)),
            }
        }
    }

    #[test]
    fn a_late_prepare_after_its_abort_is_stale() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.abort(PlanVersion(3)), Ok(Act::Done));
        assert_eq!(ledger.prepare(plan(3, 0)), Err(Wrong::Stale));
        assert_eq!(ledger.prepare(plan(4, 0)), Ok(Act::Do(None)));
    }

    #[test]
    fn what_was_aborted_while_it_was_prepared_is_dropped() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.prepare(plan(1, 0)), Ok(Act::Do(None)));
        assert_eq!(ledger.abort(PlanVersion(1)), Ok(Act::Done));
        assert!(!ledger.prepared(plan(1, 0)));
        assert_eq!(ledger.commit(PlanVersion(1)), Err(Wrong::NotPrepared));
    }

    #[test]
    fn what_was_superseded_while_it_was_prepared_is_dropped() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.prepare(plan(1, 0)), Ok(Act::Do(None)));
        assert_eq!(ledger.prepare(plan(2, 0)), Ok(Act::Do(None)));
        assert!(!ledger.prepared(plan(1, 0)));
        assert!(ledger.prepared(plan(2, 0)));
        assert_eq!(ledger.prepare(plan(5, 0)), Ok(Act::Do(Some(PlanVersion(2)))));
    }
}

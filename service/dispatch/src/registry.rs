//! The boards that announced themselves, and what they reported.

use crate::key::Key;
use crate::link::{HttpLink, LinkError};
use crate::{Board, Link};
use ecomap_instances::format::agent_v1::RegistrationDto;
use ecomap_instances::format::telemetry_v1::TelemetryDto;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most boards.
const MAX_BOARDS: usize = 10_000;

/// A board that announced itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What it said.
    pub registration: RegistrationDto,
    /// When, on the caller's clock.
    pub at: Duration,
}

/// Why news of a board is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// The board is not in the fleet.
    #[error("no such board in the fleet")]
    Unknown,
    /// The name in the document is not that of the path.
    #[error("the document is about another board")]
    Other,
    /// The address is none that can be called.
    #[error("the address must begin with http://")]
    Address,
    /// There are too many boards.
    #[error("too many boards")]
    Full,
}

#[derive(Debug, Default)]
struct Books {
    boards: BTreeMap<String, Seen>,
    /// Start and number of the last report, by board.
    last: BTreeMap<String, (u64, u64)>,
    reports: VecDeque<Arc<TelemetryDto>>,
    lost: u64,
}

impl Books {
    fn fresh(&self, device: &str, report: &TelemetryDto) -> Result<bool, NotTaken> {
        if report.device != device {
            return Err(NotTaken::Other);
        }
        if self.last.len() >= MAX_BOARDS && !self.last.contains_key(device) {
            return Err(NotTaken::Full);
        }
        let number = (report.started_ms, report.sequence);
        Ok(self.last.get(device).is_none_or(|last| *last < number))
    }
}

/// Knows the boards. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Registry {
    fleet: Option<Arc<BTreeSet<String>>>,
    most: usize,
    books: Arc<Mutex<Books>>,
}

impl Registry {
    /// Takes in the boards of `fleet`, or any if `None`, and keeps at most `most` reports until they are drained; then
    /// the oldest goes.
    #[must_use]
    pub fn new(fleet: Option<BTreeSet<String>>, most: usize) -> Self {
        Self { fleet: fleet.map(Arc::new), most: most.max(1), books: Arc::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, device: &str) -> Result<(), NotTaken> {
        match &self.fleet {
            Some(fleet) if !fleet.contains(device) => Err(NotTaken::Unknown),
            _ => Ok(()),
        }
    }

    /// A board announces itself, at `now` on the caller's clock.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn register(
        &self,
        device: &str,
        registration: RegistrationDto,
        now: Duration,
    ) -> Result<(), NotTaken> {
        self.knows(device)?;
        if registration.status.device != device {
            return Err(NotTaken::Other);
        }
        if !registration.address.starts_with("http://") {
            return Err(NotTaken::Address);
        }
        let mut books = self.books();
        if books.boards.len() >= MAX_BOARDS && !books.boards.contains_key(device) {
            return Err(NotTaken::Full);
        }
        books.boards.insert(device.to_owned(), Seen { registration, at: now });
        Ok(())
    }

    /// Whether [`report`](Self::report) would take a report; nothing is changed.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn fresh(&self, device: &str, report: &TelemetryDto) -> Result<bool, NotTaken> {
        self.knows(device)?;
        self.books().fresh(device, report)
    }

    /// A board reports. `Ok(false)`: this report was taken before, or a later one.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn report(&self, device: &str, report: TelemetryDto) -> Result<bool, NotTaken> {
        self.knows(device)?;
        let mut books = self.books();
        if !books.fresh(device, &report)? {
            return Ok(false);
        }
        books.last.insert(device.to_owned(), (report.started_ms, report.sequence));
        books.reports.push_back(Arc::new(report));
        while books.reports.len() > self.most {
            books.reports.pop_front();
            books.lost += 1;
        }
        Ok(true)
    }

    /// Reports since the last call, oldest first, and how many were thrown away before they could be drained.
    #[must_use]
    pub fn drain(&self) -> (Vec<Arc<TelemetryDto>>, u64) {
        let mut books = self.books();
        (books.reports.drain(..).collect(), std::mem::take(&mut books.lost))
    }

    /// The boards, by name.
    #[must_use]
    pub fn boards(&self) -> BTreeMap<String, Seen> {
        self.books().boards.clone()
    }

    /// A way to a board that announced itself. `draws_w` is what it draws under the plan that it runs.
    ///
    /// # Errors
    /// [`LinkError`] when it has not, or its address cannot be called.
    pub fn board(&self, device: &str, key: &Arc<Key>, draws_w: Option<f64>) -> Result<Board, LinkError> {
        let address = self.books().boards.get(device).map(|seen| seen.registration.address.clone());
        let address =
            address.ok_or_else(|| LinkError::Lost("the board has not announced itself".to_owned()))?;
        let link: Arc<dyn Link> = Arc::new(HttpLink::new(device, &address, Arc::clone(key))?);
        Ok(Board { device: device.to_owned(), link, draws_w })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_instances::format::agent_v1::AgentStatusDto;
    use ecomap_instances::format::telemetry_v1::{FORMAT, OriginDto};

    fn report(device: &str, started_ms: u64, sequence: u64) -> TelemetryDto {
        TelemetryDto {
            format: FORMAT.to_owned(),
            device: device.to_owned(),
            profile: "jetson-agx-xavier".to_owned(),
            basis: OriginDto::Emulated,
            started_ms,
            sequence,
            from_ms: 0,
            to_ms: 1,
            version: None,
            mode: None,
            safe: false,
            lost: 0,
            tenants: Vec::new(),
            units: Vec::new(),
            power: None,
        }
    }

    #[test]
    fn reports_are_taken_once_and_in_order() {
        let registry = Registry::new(None, 3);
        for _ in 0..2 {
            assert_eq!(registry.fresh("a", &report("a", 10, 1)), Ok(true), "asking changes nothing");
        }
        assert_eq!(registry.report("a", report("a", 10, 1)), Ok(true));
        assert_eq!(registry.fresh("a", &report("a", 10, 1)), Ok(false));
        assert_eq!(registry.report("a", report("a", 10, 1)), Ok(false), "sent twice");
        assert_eq!(registry.report("a", report("a", 20, 1)), Ok(true), "the agent was restarted");
        assert_eq!(registry.report("a", report("a", 10, 2)), Ok(false), "of before the restart");
        assert_eq!(registry.report("a", report("b", 10, 2)), Err(NotTaken::Other));
        for n in 1..=2 {
            registry.report("b", report("b", 1, n)).unwrap();
        }
        let (reports, lost) = registry.drain();
        let found: Vec<_> = reports.iter().map(|r| (r.device.as_str(), r.started_ms, r.sequence)).collect();
        assert_eq!((found, lost), (vec![("a", 20, 1), ("b", 1, 1), ("b", 1, 2)], 1));
        assert_eq!(registry.drain(), (Vec::new(), 0));
    }

    #[test]
    fn only_boards_of_the_fleet_with_an_address_that_can_be_called() {
        let registry = Registry::new(Some(BTreeSet::from(["a".to_owned()])), 10);
        let registration = |device: &str, address: &str| RegistrationDto {
            address: address.to_owned(),
            status: AgentStatusDto {
                device: device.to_owned(),
                profile: "host-cpu".to_owned(),
                basis: OriginDto::Measured,
                running: None,
                prepared: None,
                highest: 0,
                mode: None,
                modes: Vec::new(),
                safe: false,
                lease_left_s: None,
                renewal: 0,
                draining: 0,
            },
        };
        let put = |device: &str, registration| registry.register(device, registration, Duration::ZERO);
        assert_eq!(put("b", registration("b", "http://b")), Err(NotTaken::Unknown));
        assert_eq!(put("a", registration("b", "http://b")), Err(NotTaken::Other));
        assert_eq!(put("a", registration("a", "file:///etc/passwd")), Err(NotTaken::Address));
        assert_eq!(put("a", registration("a", "http://127.0.0.1:1")), Ok(()));
        assert_eq!(registry.boards().len(), 1);
        let key = Arc::new(Key::new(&"1".repeat(64)).unwrap());
        assert!(registry.board("a", &key, None).is_ok() && registry.board("b", &key, None).is_err());
        assert_eq!(registry.report("b", report("b", 1, 1)), Err(NotTaken::Unknown));
    }
}

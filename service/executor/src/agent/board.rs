//! Makes the runtime and the power mode follow a plan, in an order that never exceeds the cap.
//!
//! A power mode caps what the board can draw. When the plan's mode has the smaller budget, it is set first, and only
//! then are requests routed to the new models; when it has the larger one, requests are routed first and the mode is
//! raised last. In between the board is under the smaller of the two budgets. If lowering fails, nothing has changed
//! and the plan is refused; if raising fails, the plan runs in the lower mode and says so.

use crate::agent::ledger::Known;
use crate::agent::store::{Kept, KeptPlan, Staged, Store, StoreError};
use crate::agent::{Gate, Problem, orders};
use crate::clock::WallClock;
use crate::orders::Orders;
use crate::power::{PowerError, PowerModes};
use crate::runtime::{PlanVersion, Prepared, Runtime, Switched};
use ecomap_instances::Code;
use ecomap_instances::format::agent_v1::plan_path;
use ecomap_instances::format::orders_v1::OrdersDto;
use ecomap_instances::profile::Profile;
use std::sync::Arc;
use std::time::Duration;

/// What the agent allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Power mode in which the board stays when its budget has expired; `None`: the one of least budget.
    pub safe_mode: Option<String>,
    /// How long a prepared plan is kept without a commit.
    pub prepared_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { safe_mode: None, prepared_for: Duration::from_secs(120) }
    }
}

/// Orders with everything that is known of them.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Version and digest.
    pub known: Known,
    /// As they were sent, with their signature.
    pub kept: KeptPlan,
    /// Seconds that the budget holds.
    pub lease_s: Option<u64>,
    /// As they are carried out.
    pub orders: Orders,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// The switch of the runtime.
    pub switched: Switched,
    /// Why the mode could not be raised.
    pub mode_fault: Option<String>,
    /// Time that setting the mode took.
    pub mode_took: Duration,
}

/// One board.
#[derive(Debug)]
pub struct Board {
    /// Its name.
    pub device: String,
    /// Its hardware profile.
    pub profile: Arc<Profile>,
    /// What runs its models.
    pub runtime: Arc<dyn Runtime>,
    /// Lets in only what is signed.
    pub gate: Gate,
    /// Its clock.
    pub clock: Arc<dyn WallClock>,
    pub(super) modes: Box<dyn PowerModes>,
    pub(super) limits: Limits,
    store: Store,
}

impl Board {
    /// A board.
    ///
    /// # Errors
    /// [`Code::AgentMode`] when the safe mode is none of the profile's.
    pub fn new(
        (device, profile): (&str, Arc<Profile>),
        (runtime, modes): (Arc<dyn Runtime>, Box<dyn PowerModes>),
        (gate, store): (Gate, Store),
        limits: Limits,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, Problem> {
        if let Some(mode) = &limits.safe_mode
            && profile.mode_position(mode).is_none()
        {
            return Err(Problem::new(Code::AgentMode, format!("safe mode `{mode}` is not in the profile")));
        }
        Ok(Self { device: device.to_owned(), profile, runtime, gate, clock, modes, limits, store })
    }

    /// Reads and checks orders that came with `signature`.
    ///
    /// # Errors
    /// See [`orders::read`]; also a power mode that this very board lacks.
    pub fn plan(&self, body: &[u8], signature: &str) -> Result<Plan, Problem> {
        let (dto, orders) = orders::read(body, &self.device, &self.profile)?;
        if let Some(mode) = &dto.mode {
            let known = self.modes.known()?;
            if !known.contains(mode) {
                let unknown = PowerError::UnknownMode { mode: mode.clone(), known: known.join(", ") };
                return Err(unknown.into());
            }
        }
        Ok(plan_of(&dto, orders, body, signature))
    }

    /// What was kept, with the plan checked as if it came anew.
    ///
    /// # Errors
    /// When it is damaged, or not signed by the service. There is no plan then.
    pub fn restore(&self) -> Result<(Kept, Option<Plan>), Problem> {
        let kept = self.store.read().map_err(|e| kept_badly(&e))?.unwrap_or_default();
        let Some(running) = &kept.running else { return Ok((kept, None)) };
        let (path, body) = (plan_path(running.version), running.orders.as_bytes());
        self.gate.check("PUT", &path, body, Some(&running.signature))?;
        let plan = self.plan(body, &running.signature)?;
        if plan.known.version.0 != running.version {
            return Err(Problem::new(Code::AgentOrders, "the kept plan has another version than its orders"));
        }
        Ok((kept, Some(plan)))
    }

    /// Writes a state to the disk without making it count yet.
    ///
    /// # Errors
    /// [`Code::AgentStore`].
    pub fn stage(&self, kept: &Kept) -> Result<Staged, Problem> {
        self.store.stage(kept).map_err(|e| kept_badly(&e))
    }

    /// Keeps a state.
    ///
    /// # Errors
    /// [`Code::AgentStore`].
    pub fn keep(&self, kept: &Kept) -> Result<(), Problem> {
        self.store.write(kept).map_err(|e| kept_badly(&e))
    }

    /// Switches to a prepared plan. `publish` makes the new state the one that counts after a restart; it comes when
    /// nothing but the switch itself, which cannot fail, is left to do. `safe` keeps a mode above the safe one away.
    ///
    /// # Errors
    /// When the mode cannot be lowered or `publish` fails: the board is as before, and `prepared` is dropped.
    pub fn switch(
        &mut self,
        mode: Option<&str>,
        prepared: Prepared,
        publish: impl FnOnce() -> Result<(), StoreError>,
        safe: bool,
    ) -> Result<Committed, Problem> {
        let target = self.target(mode, safe);
        let before = self.modes.current()?;
        let begun = self.clock.now();
        let falls = self.budget(&target) <= self.budget(&before);
        if falls {
            self.modes.set(&target)?;
        }
        let lowering = self.clock.now().saturating_sub(begun);
        if let Err(error) = publish() {
            // The old plan goes on, in the mode that belongs to it.
            if falls && let Err(raise) = self.modes.set(&before) {
                tracing::warn!(%raise, mode = before, "cannot go back to the old power mode");
            }
            return Err(kept_badly(&error));
        }
        let switched = prepared.commit();
        let begun = self.clock.now();
        let raised = if falls { Ok(()) } else { self.modes.set(&target) };
        let mode_took = lowering + self.clock.now().saturating_sub(begun);
        Ok(Committed { switched, mode_fault: raised.err().map(|e| e.to_string()), mode_took })
    }

    /// Sets the power mode for a plan's `mode`, without touching models.
    ///
    /// # Errors
    /// When it cannot be set.
    pub fn adjust(&mut self, mode: Option<&str>, safe: bool) -> Result<(), Problem> {
        let target = self.target(mode, safe);
        Ok(self.modes.set(&target)?)
    }

    /// The mode to be in: the plan's, or that of least budget where nothing is to run; when the budget has expired
    /// the safe mode, unless the plan's draws less still.
    fn target(&self, mode: Option<&str>, safe: bool) -> String {
        let least = || {
            let modes = self.profile.modes.iter();
            modes.min_by(|a, b| a.budget.total_cmp(&b.budget)).map_or_else(String::new, |m| m.id.to_string())
        };
        let planned = mode.map_or_else(least, str::to_owned);
        if !safe {
            return planned;
        }
        let lowered = self.limits.safe_mode.clone().unwrap_or_else(least);
        if self.budget(&planned) < self.budget(&lowered) { planned } else { lowered }
    }

    /// Budget of a mode; a mode that the profile does not describe counts as drawing more than any.
    fn budget(&self, mode: &str) -> f64 {
        let described = self.profile.mode_position(mode).and_then(|m| self.profile.modes.get(m));
        described.map_or(f64::INFINITY, |m| m.budget.get())
    }

    /// The power mode in force; `None` when it cannot be told.
    #[must_use]
    pub fn mode(&self) -> Option<String> {
        self.modes.current().ok()
    }

    /// The modes of this board, of those that the profile describes.
    #[must_use]
    pub fn modes(&self) -> Vec<String> {
        let mut known = self.modes.known().unwrap_or_default();
        known.retain(|mode| self.profile.mode_position(mode).is_some());
        known
    }
}

fn plan_of(dto: &OrdersDto, orders: Orders, body: &[u8], signature: &str) -> Plan {
    let version = PlanVersion(dto.version);
    let known = Known { version, digest: super::ledger::Digest::of(body) };
    let kept = KeptPlan {
        version: dto.version,
        orders: String::from_utf8_lossy(body).into_owned(),
        signature: signature.to_owned(),
    };
    Plan { known, kept, lease_s: dto.lease_s, orders }
}

fn kept_badly(error: &StoreError) -> Problem {
    Problem::new(Code::AgentStore, error.to_string())
}

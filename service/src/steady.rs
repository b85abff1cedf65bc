//! Rules on stability that a solve adds to its problem: what runs now, how much of it may change.

use crate::ServiceError;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::ids::TenantIx;
use ecomap_instances::instance::{Instance, RunningChoice};
use ecomap_instances::issue::{Code, Issue, Issues};

/// What a caller asks beyond what the problem says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steady {
    /// Most tenants that may leave their running choice (row 11a).
    pub max_moves: Option<usize>,
    /// Tenants that keep it (row 11b), by name.
    pub freeze: Vec<String>,
    /// A result whose plan is what runs now, instead of what the problem says.
    pub current: Option<ResultDto>,
    /// Whether to solve again without the rules and say what they cost.
    pub weigh: bool,
}

impl Steady {
    /// The rules that a result was made under, to check it against the problem it answers.
    #[must_use]
    pub fn of(result: &ResultDto, current: Option<ResultDto>) -> Self {
        let rules = result.stability.as_ref();
        Self {
            max_moves: rules.and_then(|r| r.max_moves).map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            freeze: rules.map(|r| r.frozen.clone()).unwrap_or_default(),
            current,
            weigh: false,
        }
    }

    /// The problem with these rules; `None` when they change nothing.
    ///
    /// # Errors
    /// [`Code::UnknownTenant`] for a name that the problem does not have, [`Code::PlanMismatch`]
    /// for a running plan that is not its own, [`Code::Contradiction`] for a frozen tenant that
    /// runs nothing.
    pub fn apply(&self, instance: &Instance) -> Result<Option<Instance>, ServiceError> {
        if self.max_moves.is_none() && self.freeze.is_empty() && self.current.is_none() {
            return Ok(None);
        }
        let mut parts = instance.to_parts();
        if let Some(plan) = self.current.as_ref().and_then(|r| r.plan.as_ref()) {
            let running = plan.resolve(instance)?;
            for (tenant, pick) in parts.tenants.iter_mut().zip(running.picks) {
                let choice = pick.and_then(|p| Some((tenant.options.get(p.option.at())?, p.device?)));
                tenant.running = choice.and_then(|(option, device)| {
                    let host = option.host.as_ref()?;
                    Some(RunningChoice { device, tier: host.tier, segments: Some(host.segments.clone()) })
                });
            }
        }
        if self.max_moves.is_some() {
            parts.stability.max_moves = self.max_moves;
        }
        for (n, name) in self.freeze.iter().enumerate() {
            let Some(at) = parts.tenants.iter().position(|t| t.id.as_str() == name) else {
                let message = format!("`{}` is not a tenant of this problem", name.escape_debug());
                let issue = Issue::new(Code::UnknownTenant, format!("/stability/frozen/{n}"), message);
                return Err(Issues::one(issue).into());
            };
            parts.stability.frozen.insert(TenantIx::new(at));
        }
        Ok(Some(Instance::try_new(parts)?))
    }
}

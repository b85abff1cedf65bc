//! Columns: the choices x[i,o,d] that exist, with their cost.

use crate::error::SolverError;
use crate::pricing::Costs;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, OptionIx, TenantIx};
use ecomap_instances::instance::{Choice, Host};
use ecomap_instances::plan::Pick;

/// One variable x[i,o,d].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Column {
    /// Tenant i.
    pub tenant: TenantIx,
    /// Option o and device d.
    pub pick: Pick,
    /// Objective coefficient, the saved switching price (11) included.
    pub cost: f64,
}

impl Column {
    /// The option behind the column.
    #[must_use]
    pub(crate) fn choice<'a>(&self, instance: &'a Instance) -> &'a Choice {
        instance.option(self.tenant, self.pick.option)
    }

    /// The host and device, for options that have one.
    #[must_use]
    pub(crate) fn host<'a>(&self, instance: &'a Instance) -> Option<(&'a Host, DeviceIx)> {
        Some((self.choice(instance).host.as_ref()?, self.pick.device?))
    }
}

/// Most columns that a solve may make: some hundred bytes each, and more inside HiGHS.
pub(crate) const MOST: usize = 5_000_000;

/// Refuses an instance whose options × boards would not fit in memory, before they are laid out.
pub(crate) fn check_count(
    instance: &Instance,
    kept: &[Vec<OptionIx>],
    solver: &'static str,
) -> Result<(), SolverError> {
    let mut count = 0_usize;
    for (tenant, options) in instance.tenants.iter().zip(kept) {
        for option in options {
            let host = tenant.options[option.at()].host.as_ref();
            count = count.saturating_add(host.map_or(1, |h| instance.classes[h.class.at()].devices.len()));
        }
    }
    if count > MOST {
        let what = format!("{count} choices of option and board, at most {MOST}");
        return Err(SolverError::Unsupported { solver, what });
    }
    Ok(())
}

/// All columns of the options in `kept`, grouped by tenant, in input order.
#[must_use]
pub(crate) fn expand(instance: &Instance, costs: &Costs, kept: &[Vec<OptionIx>]) -> Vec<Vec<Column>> {
    kept.iter()
        .enumerate()
        .map(|(i, options)| {
            let tenant = &instance.tenants[i];
            let frozen = instance.stability.frozen.contains(&TenantIx::new(i));
            let mut columns = Vec::with_capacity(options.len());
            for &option in options {
                let choice = &tenant.options[option.at()];
                let cost = costs.option(instance, tenant, choice);
                if choice.host.is_none() && !frozen {
                    let pick = Pick { option, device: None };
                    columns.push(Column { tenant: TenantIx::new(i), pick, cost });
                }
                for device in instance.devices_for(tenant, choice) {
                    let stays = instance.is_running(tenant, choice, device);
                    if frozen && !stays {
                        continue; // row (11b)
                    }
                    let saved = if stays { costs.switching(tenant) } else { 0.0 };
                    let pick = Pick { option, device: Some(device) };
                    columns.push(Column { tenant: TenantIx::new(i), pick, cost: cost - saved });
                }
            }
            columns
        })
        .collect()
}

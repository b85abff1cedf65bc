//! Row (1): each tenant takes one option on one device, or is shed where it allows that.

use super::plan::{Place, Served};
use super::tally::{Row, Tally};
use ecomap_instances::instance::{Instance, InstanceTenant};
use ecomap_instances::plan::{Assignment, Pick};

/// The picks that exist, per tenant of the instance.
pub(super) fn read<'a>(
    instance: &'a Instance,
    assignment: &Assignment,
    tally: &mut Tally,
) -> Vec<Option<Served<'a>>> {
    let count = instance.tenants.len();
    let mut picks = Vec::with_capacity(count);
    for (t, tenant) in instance.tenants.iter().enumerate() {
        let read = match assignment.picks.get(t) {
            None => Err("is missing from the plan"),
            Some(None) if tenant.shedding.allowed => Ok(None),
            Some(None) => Err("is shed and does not allow it"),
            Some(Some(pick)) => place(instance, tenant, pick).map(Some),
        };
        tally.holds(Row::Choice, read.is_ok(), || {
            format!("tenant {} {}", tenant.id, read.as_ref().err().copied().unwrap_or_default())
        });
        picks.push(read.ok().flatten());
    }
    for extra in count..assignment.picks.len() {
        tally.holds(Row::Choice, false, || format!("pick {extra} is for no tenant"));
    }
    picks
}

/// The option and place that a pick names, or what is wrong with it.
fn place<'a>(
    instance: &'a Instance,
    tenant: &'a InstanceTenant,
    pick: &Pick,
) -> Result<Served<'a>, &'static str> {
    let option = tenant.options.get(pick.option.at()).ok_or("takes an option that it does not have")?;
    let place = match (&option.host, pick.device) {
        (None, None) => None,
        (None, Some(_)) => return Err("is put on a device by an option that needs none"),
        (Some(_), None) => return Err("takes an option that needs a device, on none"),
        (Some(host), Some(device)) => {
            let board = instance.devices.get(device.at()).ok_or("is put on a device that does not exist")?;
            if board.class != host.class {
                return Err("is put on a device outside its option's class");
            }
            Some(Place { host, device })
        }
    };
    Ok(Served { tenant, option, place })
}

//! Changes of a fleet: a typed list of operations, all of them or none.

use super::document;
use super::wire::FleetDto;
use ecomap_instances::format::scenario_v1::{SloDto, TenantDto};
use ecomap_instances::issue::{Code, Issue, Issues};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Most operations of one request.
const OPERATIONS: usize = 1_000;
/// Longest reason, characters.
const REASON: usize = 200;

/// Operations, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetPatch")]
pub struct PatchDto {
    /// What to change; at least one, at most 1000.
    pub operations: Vec<OperationDto>,
    /// Why, for the events; at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "FleetOperation")]
pub enum OperationDto {
    /// A tenant arrives.
    AddTenant {
        /// The tenant, as in a scenario.
        tenant: TenantDto,
    },
    /// A tenant leaves.
    RemoveTenant {
        /// Tenant.
        tenant: String,
    },
    /// A tenant's rate changes.
    SetRate {
        /// Tenant.
        tenant: String,
        /// Requests per second.
        rate_per_s: f64,
    },
    /// A tenant's latency objective changes.
    SetSlo {
        /// Tenant.
        tenant: String,
        /// The new objective.
        slo: SloDto,
    },
    /// A tenant's priority changes.
    SetPriority {
        /// Tenant.
        tenant: String,
        /// The new priority.
        priority: f64,
    },
    /// A device is lost: nothing runs there until it is restored.
    LoseDevice {
        /// Device.
        device: String,
    },
    /// A lost device is back.
    RestoreDevice {
        /// Device.
        device: String,
    },
}

/// What an operation did.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Kind of the event.
    pub kind: &'static str,
    /// Why, for people.
    pub reason: String,
    /// What else is known.
    pub data: Value,
}

/// Applies the operations to the document.
///
/// # Errors
/// Every operation that does not fit, with pointers into the request. Whether the outcome holds as a whole is
/// [`document::check`]'s question.
pub fn apply(dto: &mut FleetDto, patch: &PatchDto) -> Result<Vec<Done>, Issues> {
    let count = patch.operations.len();
    if count == 0 || count > OPERATIONS {
        let code = if count == 0 { Code::Empty } else { Code::TooMany };
        return Err(Issues::one(Issue::new(code, "/operations", format!("{count}, not 1 to {OPERATIONS}"))));
    }
    if patch.reason.as_ref().is_some_and(|r| r.chars().count() > REASON) {
        let why = format!("more than {REASON} characters");
        return Err(Issues::one(Issue::new(Code::OutOfRange, "/reason", why)));
    }
    let (mut bad, mut done) = (Vec::new(), Vec::new());
    for (n, operation) in patch.operations.iter().enumerate() {
        match one(dto, operation, &format!("/operations/{n}")) {
            Ok(mut event) => {
                if let Some(reason) = &patch.reason {
                    event.reason = format!("{}: {reason}", event.reason);
                }
                done.push(event);
            }
            Err(issue) => bad.push(issue),
        }
    }
    Issues::check(bad)?;
    Ok(done)
}

fn one(dto: &mut FleetDto, operation: &OperationDto, at: &str) -> Result<Done, Issue> {
    let find = |dto: &FleetDto, name: &str| {
        let position = dto.scenario.tenants.iter().position(|t| t.id == name);
        position.ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            Issue::new(Code::UnknownTenant, format!("{at}/tenant"), format!("`{}`", shown.escape_debug()))
        })
    };
    let known = |dto: &FleetDto, name: &str| {
        if document::device_names(&dto.scenario).contains(name) {
            return Ok(());
        }
        let shown: String = name.chars().take(64).collect();
        Err(Issue::new(Code::UnknownDevice, format!("{at}/device"), format!("`{}`", shown.escape_debug())))
    };
    Ok(match operation {
        OperationDto::AddTenant { tenant } => {
            if dto.scenario.tenants.iter().any(|t| t.id == tenant.id) {
                let why = format!("`{}` is already there", tenant.id.escape_debug());
                return Err(Issue::new(Code::DuplicateId, format!("{at}/tenant/id"), why));
            }
            dto.scenario.tenants.push(tenant.clone());
            let reason = format!("tenant {} arrived", tenant.id);
            let data =
                json!({ "tenant": tenant.id, "family": tenant.family, "rate_per_s": tenant.rate_per_s });
            Done { kind: "tenant_arrived", reason, data }
        }
        OperationDto::RemoveTenant { tenant } => {
            find(dto, tenant)?;
            document::without_tenant(&mut dto.scenario, tenant);
            let reason = format!("tenant {tenant} left");
            Done { kind: "tenant_left", reason, data: json!({ "tenant": tenant }) }
        }
        OperationDto::SetRate { tenant, rate_per_s } => {
            let n = find(dto, tenant)?;
            let slot = &mut dto.scenario.tenants[n].rate_per_s;
            let before = std::mem::replace(slot, *rate_per_s);
            let reason = format!("rate of {tenant} from {before} to {rate_per_s} a second");
            let data = json!({ "tenant": tenant, "from_per_s": before, "to_per_s": rate_per_s });
            Done { kind: "rate_changed", reason, data }
        }
        OperationDto::SetSlo { tenant, slo } => {
            let n = find(dto, tenant)?;
            let before = std::mem::replace(&mut dto.scenario.tenants[n].slo, slo.clone());
            let reason = format!(
                "latency objective of {tenant} from {} {} ms to {} {} ms",
                before.quantile.as_str(),
                before.latency_ms,
                slo.quantile.as_str(),
                slo.latency_ms
            );
            Done { kind: "slo_changed", reason, data: json!({ "tenant": tenant, "from": before, "to": slo }) }
        }
        OperationDto::SetPriority { tenant, priority } => {
            let n = find(dto, tenant)?;
            let before = std::mem::replace(&mut dto.scenario.tenants[n].priority, *priority);
            let reason = format!("priority of {tenant} from {before} to {priority}");
            let data = json!({ "tenant": tenant, "from": before, "to": priority });
            Done { kind: "priority_changed", reason, data }
        }
        OperationDto::LoseDevice { device } => {
            known(dto, device)?;
            if dto.lost.contains(device) {
                return Err(Issue::new(Code::Contradiction, format!("{at}/device"), "it is lost already"));
            }
            dto.lost.push(device.clone());
            let reason = format!("device {device} was lost");
            Done { kind: "device_lost", reason, data: json!({ "device": device }) }
        }
        OperationDto::RestoreDevice { device } => {
            known(dto, device)?;
            if !dto.lost.contains(device) {
                return Err(Issue::new(Code::Contradiction, format!("{at}/device"), "it is not lost"));
            }
            dto.lost.retain(|d| d != device);
            let reason = format!("device {device} is back");
            Done { kind: "device_back", reason, data: json!({ "device": device }) }
        }
    })
}

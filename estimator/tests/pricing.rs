//! Pricing through the public face.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp)]

mod common;

use ecomap_estimator::predictor::{Candidate, DevicePlan, DevicePrediction, Isolated, Predictor};
use ecomap_estimator::pricing::LeftOut;
use ecomap_estimator::table::CostTable;
use ecomap_estimator::{EstimatorError, PricingReport, Roofline, explain, price};
use ecomap_instances::Instance;
use ecomap_instances::family::Family;
use ecomap_instances::format::instance_v1;
use ecomap_instances::format::result_v1::PricingReportDto;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::Profile;
use ecomap_instances::units::Millis;
use serde_json::{Value, json};
use std::sync::Arc;

fn priced(document: &Value) -> (Instance, PricingReport) {
    price(&common::read(document), &Roofline::embedded().unwrap()).unwrap()
}

#[test]
#[ignore = "a measurement: cargo test --release -p ecomap-estimator --test pricing -- --ignored --nocapture"]
fn large_scenario_prices_in_seconds() {
    let (instance, report) = priced(&common::large());
    assert!(instance.option_count() > 1000);
    eprintln!("{} options; {report:?}", instance.option_count());
}

#[test]
fn classes_group_identical_boards_and_modes_carry_limits() {
    let (instance, _) = priced(&common::small());
    let ids: Vec<&str> = instance.classes.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "north:jetson-agx-xavier",
            "north:jetson-agx-xavier-2",
            "south:jetson-agx-orin-64gb",
            "south:jetson-orin-nano-8gb"
        ]
    );
    assert_eq!(instance.classes[0].devices.len(), 2);
    assert_eq!(instance.classes[1].modes.len(), 1);
    assert!(instance.classes[3].always_on);
    let mode = &instance.classes[1].modes[0];
    // 15W: cpu1 is off; the budget is the module's 15 W and the carrier's 2.5 W.
    assert_eq!(mode.load_cap, [0.8, 0.8, 0.8, 0.8, 0.0]);
    assert_eq!(mode.budget.get(), 17.5);
    assert!((mode.bandwidth.get() - 0.73 * 85.19e9).abs() < 1.0);
    // Cap of the linear policy at 300 g/kWh: half way between 120 and 60 W.
    assert_eq!(instance.sites[0].cap.unwrap().get(), 90.0);
    assert_eq!(instance.sites[1].cap, None);
    assert_eq!(instance.capacities[0].id, "link:north--south");
}

#[test]
fn every_option_keeps_the_rules_that_pricing_promises() {
    let document = common::small();
    let scenario = common::read(&document);
    let (instance, report) = priced(&document);
    assert_eq!(report.options, u64::try_from(instance.option_count()).unwrap());
    for (tenant, wish) in instance.tenants.iter().zip(&scenario.tenants) {
        assert!(!tenant.options.is_empty(), "{}", tenant.id);
        for option in &tenant.options {
            let host = option.host.as_ref().unwrap();
            let class = &instance.classes[host.class.at()];
            let mode = &class.modes[host.mode.at()];
            let tier = &wish.family.tiers[wish.tiers[host.tier]];
            assert!(tenant.accuracy_floor.is_none_or(|f| tier.accuracy >= f));
            assert!(host.load.iter().all(|(u, l)| *l <= mode.load_cap[u.at()]));
            assert!(mode.idle + host.dynamic <= mode.budget);
            assert!(host.bandwidth <= mode.bandwidth);
            for (q, i) in [
                (host.latency.p50, host.isolated.p50),
                (host.latency.p95, host.isolated.p95),
                (host.latency.p99, host.isolated.p99),
            ] {
                assert!(q >= i && i > host.network);
            }
            assert!(host.latency.p50 <= host.latency.p95 && host.latency.p95 <= host.latency.p99);
            let slo = tenant.slo.unwrap();
            assert!(slo.soft_price.is_some() || host.latency.at(slo.quantile) <= slo.latency);
            // Segments cover the chain on units that the tenant may use.
            assert_eq!(host.segments.first().unwrap().from, 0);
            assert_eq!(host.segments.last().unwrap().to, tier.blocks.len());
            for s in &host.segments {
                assert!(!wish.forbidden_units.contains(&class.units[s.unit]));
            }
            // Remote classes use the link, local ones do not.
            let remote = class.site != wish.origin;
            assert_eq!(option.uses.len(), usize::from(remote));
            if remote {
                let bytes = (tier.request + tier.response).get();
                assert!((option.uses[0].1 - wish.rate.get() * bytes).abs() < 1e-6);
                let network = 2.0 * 2.0 + bytes / 1.25e8 * 1000.0;
                assert!((host.network.get() - network).abs() < 1e-9);
            } else {
                assert_eq!(host.network, Millis::ZERO);
            }
        }
    }
    // Pinned and forbidden devices.
    assert!(instance.tenants[3].options.iter().all(|o| o.host.as_ref().unwrap().class.at() >= 2));
    assert_eq!(report.left_out[&LeftOut::AccuracyFloor], 1);
    let dto = PricingReportDto::from(&report);
    assert_eq!(dto.slo_basis, "load_cap");
    assert_eq!(dto.left_out["accuracy_floor"], 1);
}

#[test]
fn pricing_is_deterministic_and_survives_the_file_format() {
    let (first, report) = priced(&common::small());
    let (second, again) = priced(&common::small());
    assert_eq!(first, second);
    assert_eq!(report, again);
    let text = serde_json::to_vec(&instance_v1::InstanceDto::raise(&first)).unwrap();
    assert_eq!(instance_v1::hash(&instance_v1::read(&text).unwrap()), instance_v1::hash(&first));
}

#[test]
fn the_running_placement_is_always_on_offer() {
    let mut document = common::small();
    document["pricing"] = json!({"max_placements": 1, "slo_basis": "isolated"});
    let (instance, _) = priced(&document);
    let tenant = &instance.tenants[1];
    let running = tenant.running.as_ref().unwrap();
    assert_eq!(tenant.tiers[running.tier].id.as_str(), "resnet-50");
    assert!(tenant.options.iter().any(|o| instance.is_running(tenant, o, running.device)));
}

#[test]
fn isolated_basis_is_a_relaxation_of_the_load_cap_basis() {
    let mut document = common::small();
    document["pricing"] = json!({"slo_basis": "isolated"});
    let (isolated, _) = priced(&document);
    let (capped, _) = priced(&common::small());
    for (a, b) in isolated.tenants.iter().zip(&capped.tenants) {
        assert!(a.options.len() >= b.options.len());
        for option in &a.options {
            let host = option.host.as_ref().unwrap();
            assert_eq!(host.latency, host.isolated);
        }
    }
}

#[test]
fn unreachable_sites_give_no_options() {
    let mut document = common::small();
    document["links"] = json!([]);
    document["running"] = json!([]);
    let (instance, report) = priced(&document);
    for (n, tenant) in instance.tenants.iter().enumerate() {
        let south = n >= 2;
        assert!(tenant.options.iter().all(|o| (o.host.as_ref().unwrap().class.at() >= 2) == south));
    }
    assert!(report.left_out[&LeftOut::Unreachable] > 0);
}

#[test]
fn a_tenant_that_may_not_be_shed_and_has_no_option_is_an_error() {
    let mut document = common::small();
    document["tenants"][0]["slo"] = json!({"quantile": "p99", "latency_ms": 0.01});
    document["tenants"][0]["shed"] = json!({"allowed": false});
    let answer = price(&common::read(&document), &Roofline::embedded().unwrap());
    assert!(matches!(answer, Err(EstimatorError::Instance(_))));
}

#[test]
fn the_explanation_adds_up_and_agrees_with_the_instance() {
    let document = common::small();
    let scenario = common::read(&document);
    let (instance, _) = priced(&document);
    let told = explain(&scenario, &Roofline::embedded().unwrap(), usize::MAX).unwrap();
    let options: usize = told.rows.iter().map(|r| r.options).sum();
    assert_eq!(options, instance.option_count());
    for row in &told.rows {
        for offer in &row.best {
            let l = offer.latency;
            let sum = l.service_ms + l.transfer_ms + l.waiting_ms + l.network_ms + l.contention_ms;
            assert!((sum - l.total_ms).abs() < 1e-6, "{row:?}");
            let segments: f64 = offer.segments.iter().map(|s| s.service_ms).sum();
            assert!((segments - l.service_ms).abs() < 1e-6);
            let late = l.total_ms > offer.slo_ms;
            assert!(offer.left_out != Some("slo") || late);
            // The soft SLO of `ask` may be broken; a hard one may not.
            assert!(offer.left_out.is_some() || !late || row.tenant == "ask");
        }
    }
    // BERT's attention runs on no DLA.
    let bert = told.rows.iter().find(|r| r.tenant == "ask" && r.class.contains("orin-64gb")).unwrap();
    assert!(bert.refusals.iter().any(|r| r.unit == "dla0" && r.reason.contains("lacks")));
    assert!(serde_json::to_string(&told).unwrap().contains("contention_ms"));
}

/// Answers one request too few.
struct Short(Roofline);

impl Predictor for Short {
    fn name(&self) -> &str {
        "short"
    }
    fn version(&self) -> String {
        "0".to_owned()
    }
    fn table(&self, p: &Arc<Profile>, m: ModeIx, f: &Arc<Family>, t: usize) -> CostTable {
        self.0.table(p, m, f, t)
    }
    fn isolated(&self, batch: &[Candidate<'_>]) -> Vec<Option<Isolated>> {
        let mut all = self.0.isolated(batch);
        all.pop();
        all
    }
    fn joint(&self, plans: &[DevicePlan]) -> Result<Vec<DevicePrediction>, EstimatorError> {
        self.0.joint(plans)
    }
}

#[test]
fn a_short_answer_is_an_error() {
    let predictor = Short(Roofline::embedded().unwrap());
    let answer = price(&common::read(&common::small()), &predictor);
    assert!(matches!(answer, Err(EstimatorError::ShortAnswer { .. })));
}

//! One plan brought to the boards, and what follows from how that ended.

use super::crew::{Assigned, Crew, Sent};
use ecomap_dispatch::{Done, Exclusion, Failed, Lost, Outcome, Refusal};
use ecomap_instances::format::orders_v1::{OrdersDto, split};
use ecomap_store::Event;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long something that a board refused is left out before it is tried again.
const BARRED: Duration = Duration::from_secs(900);
/// Longest pause between two tries at a plan.
const LONGEST: Duration = Duration::from_secs(60);

impl Crew {
    /// Brings the plan to all boards, unless they run it already or it holds what boards refused.
    pub(super) async fn bring(&mut self, plan: &Assigned) {
        let begun = self.shared.clock.now();
        let fresh = self.sent.back().is_none_or(|s| s.number != plan.number);
        if fresh && self.failed_plan != Some(plan.number) {
            (self.failures, self.due) = (0, Duration::ZERO);
        }
        if !fresh && self.runs() || begun < self.due {
            return;
        }
        if plan.result.certificate.checker.verdict != "pass" {
            return;
        }
        let boards = self.reached();
        let mut orders = split(&plan.result, 1, Some(self.lease_s));
        orders.retain(|o| boards.iter().any(|b| b.device == o.device));
        // The fleet is being solved without what boards refused, and without the boards that do not answer; or with
        // one that has come back.
        if orders.len() != boards.len() || boards.is_empty() || split_hits(self, plan) {
            return;
        }
        let highest = self.members.values().filter_map(|m| m.status.as_ref()).map(|s| s.highest).max();
        self.version = self.version.max(highest.unwrap_or(0)) + 1;
        for order in &mut orders {
            order.version = self.version;
        }
        let waited = begun.saturating_sub(plan.published);
        let outcome = match self.dispatcher.dispatch(&orders, &boards).await {
            Ok(outcome) => outcome,
            Err(why) => {
                self.put_off(plan.number, &why.to_string()).await;
                return;
            }
        };
        match outcome {
            Outcome::Committed { boards, prepare, commit } => {
                let event = self.committed(plan, orders, &boards, (waited, prepare, commit));
                self.learn(vec![event]).await;
            }
            Outcome::RolledBack { refused, lost } => self.rolled_back(plan, &refused, &lost).await,
            Outcome::Partial { committed, kept, failed } => {
                self.partial(plan, orders, (&committed, &kept, &failed)).await;
            }
        }
    }

    /// Whether every board that answers runs what was committed last.
    fn runs(&self) -> bool {
        let Some(sent) = self.sent.back() else { return false };
        let there = self.members.values().filter(|m| m.lost.is_none()).filter_map(|m| m.status.as_ref());
        there.clone().count() > 0 && there.into_iter().all(|s| s.running == Some(sent.version) && !s.safe)
    }

    fn committed(
        &mut self,
        plan: &Assigned,
        orders: Vec<OrdersDto>,
        boards: &[Done],
        (waited, prepare, commit): (Duration, Duration, Duration),
    ) -> Event {
        let ms = |d: Duration| 1e3 * d.as_secs_f64();
        for done in boards {
            self.runs_now(&done.device, done.committed.mode.as_ref(), &orders);
        }
        let list: Vec<Value> = boards
            .iter()
            .map(|done| {
                json!({
                    "device": done.device, "prepare_ms": done.prepared.took_ms, "loaded": done.prepared.loaded,
                    "reused": done.prepared.reused, "mode": done.committed.mode,
                    "mode_fault": done.committed.mode_fault, "mode_ms": done.committed.mode_ms,
                    "switch_ms": done.committed.switch_ms,
                })
            })
            .collect();
        let data = json!({
            "plan": plan.number, "version": self.version, "waited_ms": ms(waited), "prepare_ms": ms(prepare),
            "commit_ms": ms(commit), "boards": list,
        });
        let reason = format!(
            "plan {} runs on {} boards: prepared in {:.0} ms, switched in {:.0} ms",
            plan.number,
            boards.len(),
            ms(prepare),
            ms(commit)
        );
        let (version, corrected) = (self.version, plan.corrected.clone());
        self.remember(Sent { version, number: plan.number, orders, corrected });
        self.failures = 0;
        self.event("dispatched", &reason, &data)
    }

    /// A board runs the orders of the version under way.
    fn runs_now(&mut self, device: &str, mode: Option<&String>, orders: &[OrdersDto]) {
        let version = self.version;
        let Some(member) = self.members.get_mut(device) else { return };
        if let Some(own) = orders.iter().find(|o| o.device == device) {
            member.draws_w = Some(own.power_w);
        }
        if let Some(status) = &mut member.status {
            (status.running, status.safe) = (Some(version), false);
            status.highest = status.highest.max(version);
            status.lease_left_s = Some(self.lease_s);
            status.mode = mode.cloned().or(status.mode.take());
        }
    }

    async fn rolled_back(&mut self, plan: &Assigned, refused: &[Refusal], lost: &[Lost]) {
        let mut events = Vec::new();
        for refusal in refused {
            let (device, problem) = (&refusal.device, &refusal.problem);
            self.refuse(device, plan.number, &problem.code, &problem.detail);
            let barred = self.bar(&refusal.exclude);
            let reason = format!(
                "{device} refused plan {}: {} {}; no board runs it, and the fleet is solved without {barred}",
                plan.number, problem.code, problem.detail
            );
            let data = json!({
                "device": device, "plan": plan.number, "code": problem.code, "detail": problem.detail,
                "refusals": problem.refusals, "left_out": refusal.exclude.iter().map(told).collect::<Vec<_>>(),
            });
            events.push(self.event("refused", &reason, &data));
        }
        for one in lost {
            events.extend(if self.answers(&one.device).await {
                Some(self.slow(plan.number, one))
            } else {
                self.lose(&one.device, &one.reason)
            });
        }
        // Where nothing is left out and nobody is lost, the same plan is tried again, under the next version.
        if refused.iter().all(|r| r.exclude.is_empty()) && lost.is_empty() {
            self.back_off(plan.number);
        }
        self.learn(events).await;
    }

    /// Whether a board says how far it is, now.
    async fn answers(&self, device: &str) -> bool {
        let board = self.members.get(device).and_then(|m| m.board.as_ref());
        let Some(link) = board.map(|(_, board)| Arc::clone(&board.link)) else { return false };
        matches!(tokio::time::timeout(self.boards.pace.ask, link.status()).await, Ok(Ok(_)))
    }

    /// A board that answers did not prepare a plan in time: asked again at once it would do the same.
    fn slow(&mut self, number: u64, lost: &Lost) -> Event {
        let device = &lost.device;
        self.refuse(device, number, "", &lost.reason);
        let what = Exclusion::Board { device: device.clone() };
        let data = json!({
            "device": device, "plan": number, "code": null, "detail": lost.reason, "refusals": [],
            "left_out": [told(&what)],
        });
        let _ = self.bar(&[what]);
        let reason = format!(
            "{device} answers, but has not prepared plan {number} in time ({}); no board runs it, and the fleet is \
             solved without {device}",
            lost.reason
        );
        self.event("refused", &reason, &data)
    }

    async fn partial(
        &mut self,
        plan: &Assigned,
        orders: Vec<OrdersDto>,
        (committed, kept, failed): (&[Done], &[String], &[Failed]),
    ) {
        for done in committed {
            self.runs_now(&done.device, done.committed.mode.as_ref(), &orders);
        }
        let mut events = Vec::new();
        for one in failed {
            self.refuse(&one.device, plan.number, "", &one.reason);
            let _ = self.bar(
                &one.exclude
                    .iter()
                    .filter(|e| !matches!(e, Exclusion::Board { .. }))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            if let Some(member) = self.members.get_mut(&one.device) {
                member.draws_w = one.may_draw_w.or(member.draws_w);
            }
            if one.switched.is_none() {
                events.extend(self.lose(&one.device, &one.reason));
            }
        }
        let names: Vec<&str> = failed.iter().map(|f| f.device.as_str()).collect();
        let reason = format!(
            "plan {} runs on some boards only: {} failed while the boards switched",
            plan.number,
            names.join(", ")
        );
        let data = json!({
            "plan": plan.number, "version": self.version, "failed": names, "kept": kept,
            "committed": committed.iter().map(|d| &d.device).collect::<Vec<_>>(),
        });
        events.push(self.event("dispatch_failed", &reason, &data));
        // The orders are remembered for the boards that run them, under a plan's number that none has: the plan is
        // not brought out yet.
        let (version, corrected) = (self.version, plan.corrected.clone());
        self.remember(Sent { version, number: 0, orders, corrected });
        self.back_off(plan.number);
        self.learn(events).await;
    }

    /// Tries a plan again later; an event the first time.
    async fn put_off(&mut self, number: u64, why: &str) {
        let first = self.failures == 0;
        self.back_off(number);
        if first {
            let reason = format!("plan {number} cannot be brought to the boards: {why}");
            let event = self.event("dispatch_failed", &reason, &json!({ "plan": number }));
            self.learn(vec![event]).await;
        }
    }

    fn back_off(&mut self, number: u64) {
        let pause = self.boards.check.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.failed_plan = Some(number);
        self.due = self.shared.clock.now() + pause;
    }

    /// Leaves things out of the solves to come; what they are, for people.
    fn bar(&mut self, exclude: &[Exclusion]) -> String {
        let until = self.shared.clock.now() + BARRED;
        for what in exclude {
            self.outs.bar(what.clone(), until);
        }
        if exclude.is_empty() {
            return "nothing".to_owned();
        }
        exclude.iter().map(named).collect::<Vec<_>>().join(", ")
    }
}

fn split_hits(crew: &Crew, plan: &Assigned) -> bool {
    split(&plan.result, 1, None).iter().any(|orders| crew.outs.hit(orders))
}

fn named(what: &Exclusion) -> String {
    match what {
        Exclusion::Option { device, tenant, family, tier, .. } => {
            format!("{tenant} as {family}/{tier} on {device} in this placement")
        }
        Exclusion::Mode { device, mode } => format!("{device} in mode {mode}"),
        Exclusion::Board { device } => device.clone(),
    }
}

fn told(what: &Exclusion) -> Value {
    match what {
        Exclusion::Option { device, mode, tenant, family, tier, segments } => json!({
            "device": device, "mode": mode, "tenant": tenant, "family": family, "tier": tier, "segments": segments,
        }),
        Exclusion::Mode { device, mode } => json!({ "device": device, "mode": mode }),
        Exclusion::Board { device } => json!({ "device": device }),
    }
}

//! How far the boards are: asked now and then, lost and found again, and what follows for the solves.

use super::crew::{Crew, elsewhere};
use super::outs::Out;
use crate::fleets::clock::wall;
use crate::fleets::live::Message;
use ecomap_dispatch::Board;
use ecomap_instances::format::agent_v1::{AgentStatusDto, RenewDto};
use ecomap_store::Event;
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait between two tries at a board that does not answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Times that a board is asked before it counts as lost.
const ASKED: usize = 2;

impl Crew {
    /// Asks every board how far it is; those that do not answer are asked more and more seldom.
    pub(super) async fn look(&mut self) {
        let now = self.shared.clock.now();
        let ask = self.boards.pace.ask;
        self.claim();
        let mut asked = Vec::new();
        for (device, member) in &mut self.members {
            if !self.claims.contains_key(device) || (member.lost.is_some() && now < member.next) {
                continue;
            }
            let address = self.boards.address(device);
            if member.board.as_ref().map(|(at, _)| at) != address.as_ref() {
                member.board =
                    address.and_then(|at| Some((at.clone(), self.boards.board(device, &at).ok()?)));
            }
            let link = member.board.as_ref().map(|(_, board)| Arc::clone(&board.link));
            asked.push((device.clone(), link));
        }
        let answers = join_all(asked.into_iter().map(|(device, link)| async move {
            let Some(link) = link else { return (device, Err("it has not announced itself".to_owned())) };
            let mut last = String::new();
            for _ in 0..ASKED {
                match tokio::time::timeout(ask, link.status()).await {
                    Ok(Ok(status)) => return (device, Ok(status)),
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_) => last = "no answer in time".to_owned(),
                }
            }
            (device, Err(last))
        }));
        let mut events = Vec::new();
        for (device, answer) in answers.await {
            let answer = answer.and_then(|status| {
                if status.device == device {
                    Ok(status)
                } else {
                    Err(format!("the agent there is that of `{}`", status.device))
                }
            });
            match answer {
                Ok(status) => events.extend(self.found(&device, status)),
                Err(why) => events.extend(self.lose(&device, &why)),
            }
        }
        self.reckon();
        self.tell(events).await;
    }

    /// Claims the boards that another fleet had before, and has no more.
    fn claim(&mut self) {
        for (device, member) in &mut self.members {
            if self.claims.contains_key(device) {
                continue;
            }
            match self.boards.claim(device, (self.uid, &self.fleet), &self.reporter) {
                Ok(number) => {
                    self.claims.insert(device.clone(), number);
                    member.next = Duration::ZERO;
                }
                Err(other) => member.lost = Some(elsewhere(&other)),
            }
        }
    }

    fn found(&mut self, device: &str, status: AgentStatusDto) -> Option<Event> {
        let now = self.shared.clock.now();
        let member = self.members.get_mut(device)?;
        let safe = status.safe && !member.status.as_ref().is_some_and(|s| s.safe);
        let back = member.lost.take().is_some();
        self.renewal = self.renewal.max(status.renewal);
        (member.status, member.contact, member.tries) = (Some(status), Some((now, wall())), 0);
        let (kind, reason) = if back {
            ("board_back", format!("{device} answers again"))
        } else if safe {
            ("board_safe", format!("{device} has lowered itself: its budget had expired"))
        } else {
            return None;
        };
        Some(self.event(kind, &reason, &json!({ "device": device })))
    }

    /// A board does not answer, or must not be used; an event the first time.
    pub(super) fn lose(&mut self, device: &str, why: &str) -> Option<Event> {
        let now = self.shared.clock.now();
        let member = self.members.get_mut(device)?;
        member.tries = member.tries.saturating_add(1);
        let pause = self.boards.check.saturating_mul(1 << member.tries.min(10)).min(LONGEST);
        member.next = now + pause;
        let first = member.lost.replace(why.to_owned()).is_none();
        let draws = member.draws_w;
        let reason =
            format!("{device} does not answer ({why}); it keeps its plan, others are planned without it");
        first.then(|| self.event("board_lost", &reason, &json!({ "device": device, "may_draw_w": draws })))
    }

    /// Works out what a solve must leave out, and tells the fleet's task when that changed.
    pub(super) fn reckon(&mut self) {
        let now = self.shared.clock.now();
        self.outs.forgive(now);
        self.outs.boards.clear();
        for (device, member) in &self.members {
            let refused =
                self.outs.barred.iter().any(
                    |b| matches!(&b.what, ecomap_dispatch::Exclusion::Board { device: d } if d == device),
                );
            if member.lost.is_none() && !refused {
                continue;
            }
            let least = member
                .profile
                .as_ref()
                .and_then(|p| p.modes.iter().map(|m| m.board_budget().get()).min_by(f64::total_cmp));
            // When its budget has expired the board is in its safe mode, of the least budget.
            let contact = member.contact.map_or(self.hired, |(at, _)| at);
            let expired = now > contact + Duration::from_secs(self.lease_s);
            let draws = member.draws_w.unwrap_or(0.0);
            let reserve_w = if expired { least.map_or(draws, |least| draws.min(least)) } else { draws };
            self.outs.boards.insert(device.clone(), Out { site: member.site.clone(), reserve_w });
        }
        let same = self.told.boards == self.outs.boards
            && self.told.barred.iter().map(|b| &b.what).eq(self.outs.barred.iter().map(|b| &b.what));
        if !same {
            self.told = self.outs.clone();
            self.message(Message::Boards(self.number, Arc::new(self.outs.clone())));
        }
    }

    /// Prolongs the budgets of boards whose plan stays.
    pub(super) async fn renew(&mut self) {
        let now = self.shared.clock.now();
        if self.sent.is_empty() || now < self.renewed + Duration::from_secs(self.lease_s) / 3 {
            return;
        }
        self.renewed = now;
        self.renewal += 1;
        let boards = self.reached();
        let renewal = RenewDto { renewal: self.renewal, lease_s: self.lease_s };
        for lost in self.dispatcher.renew(&boards, &renewal).await {
            tracing::warn!(device = lost.device, why = lost.reason, "a budget was not renewed");
        }
    }

    /// The boards that answer.
    pub(super) fn reached(&self) -> Vec<Board> {
        let there = self.members.values().filter(|m| m.lost.is_none() && m.status.is_some());
        let boards = there.filter_map(|m| {
            let (_, board) = m.board.as_ref()?;
            Some(Board { draws_w: m.draws_w, ..board.clone() })
        });
        boards.collect()
    }
}

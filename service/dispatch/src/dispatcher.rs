//! Brings a plan to all its boards, or to none.

use crate::link::{Link, LinkError};
use crate::outcome::{Done, Exclusion, Failed, Lost, Outcome, Refusal, exclusions};
use crate::waves::waves;
use ecomap_instances::format::agent_v1::{AgentProblemDto, CommittedDto, PreparedDto, RenewDto};
use ecomap_instances::format::orders_v1::OrdersDto;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A board to dispatch to.
#[derive(Debug, Clone)]
pub struct Board {
    /// Its name in plans.
    pub device: String,
    /// The way to it.
    pub link: Arc<dyn Link>,
    /// What it draws under the plan that it runs; `None`: not known.
    pub draws_w: Option<f64>,
}

/// Time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// For preparing, on all boards together. Loading takes seconds, compiling engines minutes.
    pub prepare: Duration,
    /// For one board's switch, tries included.
    pub commit: Duration,
    /// For one board's abort, one try at a commit, one question.
    pub ask: Duration,
    /// Between two tries.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            prepare: Duration::from_secs(60),
            commit: Duration::from_secs(45),
            ask: Duration::from_secs(40),
            retry: Duration::from_millis(250),
        }
    }
}

/// Why a plan cannot be dispatched at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// The plan has orders for a board that was not given.
    #[error("the plan has orders for `{0}`, which is not among the boards")]
    NoBoard(String),
    /// The plan has no orders for a board that was given: what should it do?
    #[error("the plan has no orders for `{0}`")]
    NoOrders(String),
    /// Orders of different versions.
    #[error("the plan's orders have different versions")]
    Versions,
}

/// Dispatches plans, one at a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dispatcher {
    pace: Pace,
}

/// One board with its orders.
#[derive(Clone, Copy)]
struct Leg<'a> {
    board: &'a Board,
    orders: &'a OrdersDto,
}

impl Dispatcher {
    /// With the given time limits.
    #[must_use]
    pub const fn new(pace: Pace) -> Self {
        Self { pace }
    }

    /// Dispatches a plan: `orders`, one for each of `boards`, in any order, all of one version that is higher than any
    /// before ([`Dispatcher::highest`]).
    ///
    /// # Errors
    /// [`DispatchError`] when orders and boards do not match; nothing was sent then.
    pub async fn dispatch(&self, orders: &[OrdersDto], boards: &[Board]) -> Result<Outcome, DispatchError> {
        let ordered = matched(orders, boards)?;
        let legs: Vec<Leg<'_>> =
            boards.iter().zip(&ordered).map(|(board, orders)| Leg { board, orders }).collect();
        let begun = Instant::now();
        let prepared = match self.prepare_all(&legs).await {
            Ok(prepared) => prepared,
            Err(outcome) => return Ok(outcome),
        };
        let prepare = begun.elapsed();
        Ok(match self.commit_all(&legs, &prepared, &waves(boards, &ordered)).await {
            Ok(boards) => {
                Outcome::Committed { boards, prepare, commit: begun.elapsed().saturating_sub(prepare) }
            }
            Err(outcome) => outcome,
        })
    }

    /// Phase 1 on all boards at once. Whatever goes wrong anywhere is rolled back everywhere.
    async fn prepare_all(&self, legs: &[Leg<'_>]) -> Result<Vec<PreparedDto>, Outcome> {
        let deadline = Instant::now() + self.pace.prepare;
        let answers = join_all(legs.iter().map(|leg| self.prepare(*leg, deadline))).await;
        if answers.iter().all(Result::is_ok) {
            return Ok(answers.into_iter().filter_map(Result::ok).collect());
        }
        // Boards that refused have dropped the plan; all others are told, those that did not answer as well.
        self.abort(legs).await;
        let (mut refused, mut lost) = (Vec::new(), Vec::new());
        for (leg, answer) in legs.iter().zip(answers) {
            let device = leg.board.device.clone();
            match answer {
                Ok(_) => {}
                Err(LinkError::Refused(problem)) => {
                    let exclude = exclusions(leg.orders, &problem);
                    refused.push(Refusal { device, problem: *problem, exclude });
                }
                Err(LinkError::Lost(reason)) => {
                    lost.push(Lost { device, reason, may_draw_w: leg.board.draws_w });
                }
            }
        }
        Err(Outcome::RolledBack { refused, lost })
    }

    /// Asks until there is an answer or the time is over: preparing twice is preparing once.
    async fn prepare(&self, leg: Leg<'_>, deadline: Instant) -> Result<PreparedDto, LinkError> {
        let mut last = LinkError::Lost("not prepared in time".to_owned());
        loop {
            match timeout_at(deadline, leg.board.link.prepare(leg.orders)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(LinkError::Refused(problem))) if !busy(&problem) => {
                    return Err(LinkError::Refused(problem));
                }
                Ok(Err(error)) => last = error,
                Err(_) => return Err(LinkError::Lost(format!("not prepared in time ({last})"))),
            }
            if timeout_at(deadline, sleep(self.pace.retry)).await.is_err() {
                return Err(LinkError::Lost(last.to_string()));
            }
        }
    }

    /// Phase 2, wave by wave.
    async fn commit_all(
        &self,
        legs: &[Leg<'_>],
        prepared: &[PreparedDto],
        waves: &[Vec<usize>],
    ) -> Result<Vec<Done>, Outcome> {
        let mut done: Vec<Option<Done>> = legs.iter().map(|_| None).collect();
        let mut failed = Vec::new();
        for wave in waves {
            let parts = wave.iter().filter_map(|n| Some((*n, *legs.get(*n)?, prepared.get(*n)?.clone())));
            let answers = join_all(
                parts.map(|(n, leg, prepared)| async move { (n, leg, prepared, self.commit(leg).await) }),
            );
            for (n, leg, prepared, answer) in answers.await {
                match answer {
                    Ok(committed) => {
                        if let Some(slot) = done.get_mut(n) {
                            *slot = Some(Done { device: leg.board.device.clone(), prepared, committed });
                        }
                    }
                    Err((error, switched)) => failed.push((n, failure(leg, &error, switched))),
                }
            }
            // No board may rise before all that fall have fallen.
            if !failed.is_empty() {
                break;
            }
        }
        if failed.is_empty() {
            return Ok(done.into_iter().flatten().collect());
        }
        let rest =
            |n: &usize| done.get(*n).is_some_and(Option::is_none) && !failed.iter().any(|(f, _)| f == n);
        let kept: Vec<usize> = (0..legs.len()).filter(rest).collect();
        let aborted: Vec<usize> = kept
            .iter()
            .copied()
            .chain(failed.iter().filter(|(_, f)| f.switched != Some(true)).map(|(n, _)| *n))
            .collect();
        let aborted: Vec<Leg<'_>> = aborted.iter().filter_map(|n| legs.get(*n).copied()).collect();
        self.abort(&aborted).await;
        Err(Outcome::Partial {
            committed: done.into_iter().flatten().collect(),
            kept: kept.iter().filter_map(|n| legs.get(*n)).map(|leg| leg.board.device.clone()).collect(),
            failed: failed.into_iter().map(|(_, f)| f).collect(),
        })
    }

    /// Asks until there is an answer or the time is over: committing twice is committing once. With the error comes
    /// whether the board switched nevertheless; `None`: not known.
    async fn commit(&self, leg: Leg<'_>) -> Result<CommittedDto, (LinkError, Option<bool>)> {
        let deadline = Instant::now() + self.pace.commit;
        let version = leg.orders.version;
        let link = &leg.board.link;
        loop {
            let limit = deadline.min(Instant::now() + self.pace.ask);
            let error = match timeout_at(limit, link.commit(version)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(LinkError::Refused(problem))) if !busy(&problem) => {
                    return Err((LinkError::Refused(problem), Some(false)));
                }
                Ok(Err(error)) => error,
                Err(_) => LinkError::Lost("no answer in time".to_owned()),
            };
            if timeout_at(deadline, sleep(self.pace.retry)).await.is_err() {
                let status = timeout(self.pace.ask, link.status()).await;
                return Err((error, status.ok().and_then(Result::ok).map(|s| s.running == Some(version))));
            }
        }
    }

    /// Tells boards to drop the plan. One that does not hear it drops it by itself when nobody commits.
    async fn abort(&self, legs: &[Leg<'_>]) {
        let aborts = legs.iter().map(|leg| async move {
            let told = timeout(self.pace.ask, leg.board.link.abort(leg.orders.version)).await;
            if !matches!(told, Ok(Ok(()))) {
                tracing::warn!(
                    device = leg.board.device,
                    version = leg.orders.version,
                    "an abort was not heard"
                );
            }
        });
        join_all(aborts).await;
    }

    /// The highest version that any of the boards has heard of; a new plan must be above it. Boards that do not answer
    /// are left out.
    pub async fn highest(&self, boards: &[Board]) -> u64 {
        let asked = boards.iter().map(|board| timeout(self.pace.ask, board.link.status()));
        let answers = join_all(asked).await.into_iter().flatten().flatten();
        answers.map(|status| status.highest).max().unwrap_or(0)
    }

    /// Prolongs the budget of boards whose plan stays. `renewal` must be above that of every renewal before. Returns
    /// the boards that did not take it, and why.
    pub async fn renew(&self, boards: &[Board], renewal: &RenewDto) -> Vec<Lost> {
        let asked = boards.iter().map(|board| async move {
            match timeout(self.pace.ask, board.link.renew(renewal)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((board, error.to_string())),
                Err(_) => Some((board, "no answer in time".to_owned())),
            }
        });
        let lost = join_all(asked).await.into_iter().flatten();
        lost.map(|(board, reason)| Lost { device: board.device.clone(), reason, may_draw_w: board.draws_w })
            .collect()
    }
}

fn busy(problem: &AgentProblemDto) -> bool {
    problem.status == 503
}

fn failure(leg: Leg<'_>, error: &LinkError, switched: Option<bool>) -> Failed {
    let (old, new) = (leg.board.draws_w, leg.orders.power_w);
    let exclude = match error {
        LinkError::Refused(problem) => exclusions(leg.orders, problem),
        LinkError::Lost(_) if switched.is_none() => {
            vec![Exclusion::Board { device: leg.board.device.clone() }]
        }
        LinkError::Lost(_) => Vec::new(),
    };
    let may_draw_w = match switched {
        Some(true) => Some(new),
        Some(false) => old,
        None => old.map(|old| old.max(new)),
    };
    Failed { device: leg.board.device.clone(), reason: error.to_string(), switched, may_draw_w, exclude }
}

/// The orders in the order of the boards.
fn matched(orders: &[OrdersDto], boards: &[Board]) -> Result<Vec<OrdersDto>, DispatchError> {
    if orders.windows(2).any(|pair| matches!(pair, [a, b] if a.version != b.version)) {
        return Err(DispatchError::Versions);
    }
    if let Some(stray) = orders.iter().find(|o| !boards.iter().any(|b| b.device == o.device)) {
        return Err(DispatchError::NoBoard(stray.device.clone()));
    }
    boards
        .iter()
        .map(|board| {
            let found = orders.iter().find(|o| o.device == board.device);
            found.cloned().ok_or_else(|| DispatchError::NoOrders(board.device.clone()))
        })
        .collect()
}

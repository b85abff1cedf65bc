//! Problems whose capacity rows split by agent: `ecomap_agents` behind the instance types.
//!
//! In assignment problems an option uses the row of one agent, and perhaps a few rows that all
//! share. Then "each tenant takes one option" and the shared rows are all that ties agents together,
//! and with prices on them one knapsack an agent is left, whose bound is stronger than that of the
//! linear relaxation. Boards with several rows are agents by the row that most options need; their
//! other rows count as shared.

use crate::columns::Column;
use crate::pricing::Costs;
use ecomap_agents::{Answer, Builder, Problem};
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, Pick};
use std::collections::BTreeSet;

/// Most rows that options of several agents may share, and agents for each of them.
const SHARED: usize = 3;
const AGENTS: usize = 4;
/// Tenants and agents from which on all other rows may be shared.
const MANY: usize = 400;
const MANY_AGENTS: usize = 16;
/// Most rows that an option uses.
const WIDE: usize = 8;
/// Most columns.
const COLUMNS: usize = 1_000_000;

/// An instance as an assignment problem: its columns in order, shedding as the last option of a job.
#[derive(Debug)]
pub(crate) struct Agents {
    pub(crate) problem: Problem,
    picks: Vec<Vec<Pick>>,
}

impl Agents {
    /// `None` when the instance has another structure or a number is out of range.
    pub(crate) fn new(instance: &Instance, costs: &Costs, columns: &[Vec<Column>]) -> Option<Self> {
        let free = instance.devices.is_empty()
            && instance.affinities.is_empty()
            && instance.stability.is_free()
            && instance.fleet_accuracy_floor.is_none();
        if !free || columns.iter().map(Vec::len).sum::<usize>() > COLUMNS {
            return None;
        }
        let place = places(instance, columns)?;
        let capacity = |shared: bool| -> Vec<f64> {
            let rows = instance.capacities.iter().zip(&place);
            rows.filter(|(_, place)| place.is_err() == shared).map(|(row, _)| row.capacity).collect()
        };
        let mut builder = Builder::new(capacity(false), capacity(true));
        for (i, list) in columns.iter().enumerate() {
            builder.job();
            for column in list {
                let (mut on, mut shared) = (None, Vec::new());
                for (row, amount) in &column.choice(instance).uses {
                    match place[row.at()] {
                        Ok(agent) if *amount != 0.0 => on = Some((agent, *amount)),
                        Ok(_) => {}
                        Err(row) => shared.push((row, *amount)),
                    }
                }
                builder.option(column.cost, on, &shared);
            }
            if instance.tenants[i].shedding.allowed {
                builder.option(costs.shed(i), None, &[]);
            }
        }
        let picks = columns.iter().map(|list| list.iter().map(|c| c.pick).collect()).collect();
        Some(Self { problem: builder.build().ok()?, picks })
    }

    /// The plan of a choice.
    pub(crate) fn plan(&self, choice: &[u32]) -> Assignment {
        let picks = self.picks.iter().zip(choice).map(|(list, j)| list.get(*j as usize).copied()).collect();
        Assignment { picks, modes: Vec::new() }
    }

    /// The choice that a plan makes; `None` where it names a column that is not there.
    pub(crate) fn choice(&self, plan: &Assignment) -> Option<Vec<u32>> {
        self.picks
            .iter()
            .zip(&plan.picks)
            .map(|(list, pick)| {
                let at = match pick {
                    Some(pick) => list.iter().position(|p| p == pick)?,
                    None => list.len(),
                };
                u32::try_from(at).ok()
            })
            .collect()
    }

    /// The plan of an answer, if it has one.
    pub(crate) fn best(&self, answer: &Answer) -> Option<Assignment> {
        answer.choice.as_ref().map(|choice| self.plan(choice))
    }
}

/// For each row the agent whose it is, or its number among the shared rows; `None` where rows do
/// not split.
///
/// Shared are the rows that meet most others in options, until no two others meet; among equals
/// those that fewer options use, so that of a board's rows the one that most options need is kept as
/// the agent's.
fn places(instance: &Instance, columns: &[Vec<Column>]) -> Option<Vec<Result<usize, usize>>> {
    let rows = instance.capacities.len();
    let mut met: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rows];
    let mut users = vec![0_usize; rows];
    for column in columns.iter().flatten() {
        let used = || column.choice(instance).uses.iter().filter(|(_, a)| *a != 0.0).map(|(r, _)| r.at());
        if used().count() > WIDE {
            return None;
        }
        for a in used() {
            users[a] += 1;
            met[a].extend(used().filter(|b| *b != a));
        }
    }
    let mut shared = vec![false; rows];
    while let Some(row) = (0..rows)
        .filter(|r| !met[*r].is_empty())
        .max_by_key(|r| (met[*r].len(), std::cmp::Reverse(users[*r]), *r))
    {
        shared[row] = true;
        for other in std::mem::take(&mut met[row]) {
            met[other].remove(&row);
        }
    }
    let common = shared.iter().filter(|s| **s).count();
    let agents = rows - common;
    // Either knapsacks say nearly all, or there are so many tenants and rows that nothing else fits.
    let knapsacks = common <= SHARED && agents >= 2 && agents >= AGENTS * common;
    let many = columns.len() >= MANY && agents >= MANY_AGENTS;
    if !knapsacks && !many {
        return None;
    }
    let (mut next_agent, mut next_shared) = (0, 0);
    let place = shared.into_iter().map(|shared| {
        let next = if shared { &mut next_shared } else { &mut next_agent };
        *next += 1;
        if shared { Err(*next - 1) } else { Ok(*next - 1) }
    });
    Some(place.collect())
}

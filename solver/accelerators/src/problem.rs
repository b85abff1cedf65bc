//! All that a plan may choose, as a priced instance.
//!
//! Every job is a tenant. Its first option is to wait, worth 0; each other is a place where it could
//! run now, worth the speed that it has there. Rows keep two jobs from one accelerator, or servers
//! from giving more than they have. The exact solver on this instance is the MILP counterpart of the
//! policies: for the question `topology` the best pattern placement, for `resources` the best demands
//! and places at once, without the two phases and the rounding of Synergy-OPT.

use crate::error::AcceleratorError;
use crate::float;
use crate::mapa;
use crate::speed::{Table, over_links};
use crate::state::Placement;
use crate::synergy::{Demands, Grant, Round, opt, width};
use ecomap_instances::accelerators::{Question, Workload};
use ecomap_instances::ids::{CapacityIx, JobIx, OptionIx, ServerIx};
use ecomap_instances::instance::{Capacity, Choice};
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_instances::plan::{Assignment, Pick};
use ecomap_instances::{Instance, format::instance_v1};

/// Most options over all jobs.
pub const MOST_OPTIONS: usize = 500_000;

/// Where an option puts its job.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// Position among the matches on a server.
    Match { server: usize, at: usize },
    /// A demand on servers.
    Grant(Grant),
}

/// A workload with all its options.
#[derive(Debug, Clone)]
pub struct Problem {
    workload: Workload,
    instance: Instance,
    table: Table,
    demands: Demands,
    /// By job, without the option to wait.
    places: Vec<Vec<Place>>,
}

impl Problem {
    /// Enumerates the options of a workload, whose jobs are all there at once.
    ///
    /// # Errors
    /// [`Code::TooMany`] beyond [`MOST_OPTIONS`] or `most`, whichever is less.
    pub fn new(workload: Workload, most: usize) -> Result<Self, AcceleratorError> {
        let table = match workload.question() {
            Question::Topology => Table::new(&workload),
            Question::Resources => Table::default(),
        };
        let demands = Demands::new(&workload);
        let most = most.min(MOST_OPTIONS);
        let mut places = Vec::with_capacity(workload.jobs().len());
        let mut count = 0_usize;
        for n in 0..workload.jobs().len() {
            let list = options(&workload, &table, &demands, JobIx::new(n));
            count += list.len() + 1;
            if count > most {
                let message = format!("more than {most} places for jobs");
                return Err(Issues::one(Issue::new(Code::TooMany, "/jobs", message)).into());
            }
            places.push(list);
        }
        let (capacities, starts) = rows(&workload);
        let tenants = places.iter().zip(workload.jobs()).map(|(list, job)| {
            let wait = Choice { value: 0.0, host: None, uses: Vec::new() };
            let run = |place: &Place| Choice {
                value: match place {
                    Place::Match { server, at } => {
                        let found = &table.on(*server, job)[*at];
                        over_links(job, table.best(job), found.effective)
                    }
                    Place::Grant(grant) => grant.demand.speed,
                },
                host: None,
                uses: uses(&table, &starts, place, job),
            };
            opt::tenant(job.id.as_str(), std::iter::once(wait).chain(list.iter().map(run)).collect())
        });
        let instance = opt::instance(workload.name(), capacities, tenants.collect())?;
        Ok(Self { instance, workload, table, demands, places })
    }

    /// The workload.
    #[must_use]
    pub const fn workload(&self) -> &Workload {
        &self.workload
    }

    /// The priced instance.
    #[must_use]
    pub const fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Where patterns fit.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// What jobs may be given.
    #[must_use]
    pub const fn demands(&self) -> &Demands {
        &self.demands
    }

    /// SHA-256 of the instance.
    #[must_use]
    pub fn hash(&self) -> String {
        instance_v1::hash(&self.instance)
    }

    /// The plan that places jobs so; all others wait. `None` where a placement is none of the options.
    #[must_use]
    pub fn assignment(&self, placed: &[(JobIx, Placement)]) -> Option<Assignment> {
        let wait = Some(Pick { option: OptionIx::new(0), device: None });
        let mut picks = vec![wait; self.places.len()];
        for (job, placement) in placed {
            let at = self.places[job.at()].iter().position(|place| self.is(*job, place, placement))?;
            picks[job.at()] = Some(Pick { option: OptionIx::new(at + 1), device: None });
        }
        Some(Assignment { picks, modes: Vec::new() })
    }

    fn is(&self, job: JobIx, place: &Place, placement: &Placement) -> bool {
        let Some(first) = placement.parts.first() else { return false };
        match place {
            Place::Match { server, at } => {
                let mask = first.accelerators.iter().fold(0_u16, |mask, a| mask | 1 << a);
                *server == first.server.at()
                    && self.table.on(*server, self.workload.job(job))[*at].mask == mask
            }
            Place::Grant(grant) => {
                grant.first == first.server.at()
                    && grant.width == placement.parts.len()
                    && (grant.demand.cpus, grant.demand.memory) == (placement.cpus, placement.memory)
            }
        }
    }

    /// Where a plan puts the jobs that run.
    #[must_use]
    pub fn placements(&self, plan: &Assignment) -> Vec<(JobIx, Placement)> {
        let chosen = plan.picks.iter().enumerate().filter_map(|(n, pick)| {
            let at = pick.as_ref()?.option.at().checked_sub(1)?;
            Some((JobIx::new(n), self.places.get(n)?.get(at)?))
        });
        let (mut matched, mut round) = (Vec::new(), Round::default());
        for (job, place) in chosen {
            match place {
                Place::Match { server, at } => {
                    let own = self.workload.job(job);
                    let found = &self.table.on(*server, own)[*at];
                    matched.push((job, mapa::placement(&self.workload, &self.table, own, *server, found)));
                }
                Place::Grant(grant) => round.grants.push(*grant),
            }
        }
        matched.extend(round.placements(&self.workload));
        matched
    }
}

fn options(workload: &Workload, table: &Table, demands: &Demands, job: JobIx) -> Vec<Place> {
    let own = workload.job(job);
    let servers = 0..workload.servers().len();
    match workload.question() {
        Question::Topology => servers
            .flat_map(|server| (0..table.on(server, own).len()).map(move |at| Place::Match { server, at }))
            .collect(),
        Question::Resources => {
            let width = width(workload, own);
            let firsts = servers.take((workload.servers().len() + 1).saturating_sub(width));
            let grant = |first| {
                demands.of(job).iter().map(move |demand| Grant { job, first, width, demand: *demand })
            };
            firsts.flat_map(grant).map(Place::Grant).collect()
        }
    }
}

/// Capacity rows, and the first one of each server.
fn rows(workload: &Workload) -> (Vec<Capacity>, Vec<usize>) {
    let (mut rows, mut starts) = (Vec::new(), Vec::new());
    for server in workload.servers() {
        starts.push(rows.len());
        let mut row = |what: String, capacity: f64, unit: &str| {
            rows.push(Capacity { id: format!("{}/{what}", server.id), capacity, unit: unit.to_owned() });
        };
        match workload.question() {
            Question::Topology => {
                (0..server.topology.len()).for_each(|a| row(format!("accelerator-{a}"), 1.0, "jobs"));
            }
            Question::Resources => {
                row("accelerators".to_owned(), float(server.topology.len()), "accelerators");
                row("cpus".to_owned(), f64::from(server.cpus), "cores");
                row("memory".to_owned(), server.memory.get(), "GB");
            }
        }
    }
    (rows, starts)
}

fn uses(
    table: &Table,
    starts: &[usize],
    place: &Place,
    job: &ecomap_instances::accelerators::Job,
) -> Vec<(CapacityIx, f64)> {
    match place {
        Place::Match { server, at } => {
            let mask = table.on(*server, job)[*at].mask;
            let on = (0..16).filter(|a| mask >> a & 1 == 1);
            on.map(|a| (CapacityIx::new(starts[*server] + a), 1.0)).collect()
        }
        Place::Grant(Grant { first, width, demand, .. }) => {
            let each = job.accelerators / width;
            let parts = float(*width);
            let amounts = [float(each), demand.cpus / parts, demand.memory / parts];
            let on = (*first..first + width).map(ServerIx::new);
            on.flat_map(|s| {
                let start = starts[s.at()];
                amounts.into_iter().enumerate().map(move |(n, amount)| (CapacityIx::new(start + n), amount))
            })
            .collect()
        }
    }
}

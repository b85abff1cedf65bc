//! The solver in a process of its own, which can always be stopped.
//!
//! HiGHS is asked to stop by its callbacks, but between two of them it may run on for minutes on a large model, and a
//! fault in it would take the service along. So large problems are solved by `ecomap worker`, a child process:
//!
//! 1. the parent writes a `Task` and keeps the pipe open: closing it asks the child to stop;
//! 2. the child writes a `Line` for each better bound and plan, and one with its answer;
//! 3. the child has a grace beyond its limit, then it is killed; without a limit, when it said nothing for a minute.
//!    Whenever it ends without an answer, however that
//!    came, the best plan it had reported is the answer, with the best bound; if it had none, `greedy` finds one.
//!
//! Nothing that the child says is taken on trust: plans pass the checker here.

use crate::ServiceError;
use ecomap_instances::Instance;
use ecomap_instances::format::instance_v1::InstanceDto;
use ecomap_instances::format::result_v1::ReductionDto;
use ecomap_instances::ids::{DeviceIx, ModeIx, OptionIx};
use ecomap_instances::objective::Term;
use ecomap_instances::plan::{Assignment, Pick, Status, Termination, relative_gap};
use ecomap_solver::checker::check;
use ecomap_solver::clock::{Clock as _, SystemClock};
use ecomap_solver::{
    CancelToken, Certificate, Incumbent, Level, Observer, Solution, SolveOptions, Solver, SolverError,
    by_name,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How long a child may go on after its time limit or after it was asked to stop.
const GRACE: Duration = Duration::from_secs(2);
/// How often the parent looks at the clock and at its cancel token.
const TICK: Duration = Duration::from_millis(20);
/// Longest line taken from a child, in bytes.
const LINE: u64 = 1 << 28;
/// How long a child without a time limit may say nothing: HiGHS was seen to stay in a step of presolve for more than
/// twenty minutes, where neither its limits nor its callbacks reach (`HPresolve::strengthenInequalities`).
pub const SILENCE: Duration = Duration::from_secs(60);
/// The solver that fleets use.
const EXACT: &str = "exact";
/// From so many options on, [`Isolation::Large`] takes a process.
const LARGE: usize = 2_000;

/// Which problems are solved in a process of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Isolation {
    /// None
    Never,
    /// Those that may keep HiGHS busy: 2000 options and more
    #[default]
    Large,
    /// All
    Always,
}

/// Where the worker is and when to use it.
#[derive(Debug, Clone)]
pub struct Isolated {
    /// Which problems.
    pub isolation: Isolation,
    /// This program.
    pub program: PathBuf,
    /// How long a child without a time limit may say nothing.
    pub silence: Duration,
}

impl Isolated {
    /// Whether `instance` is solved by a worker.
    #[must_use]
    pub fn takes(&self, instance: &Instance) -> bool {
        match self.isolation {
            Isolation::Never => false,
            Isolation::Large => instance.option_count() >= LARGE,
            Isolation::Always => true,
        }
    }
}

/// The exact solver, in a child process for the problems that [`Isolated`] takes: what fleets and replays solve with.
#[derive(Debug)]
pub struct Apart(pub Isolated);

impl Solver for Apart {
    fn name(&self) -> &'static str {
        EXACT
    }

    fn summary(&self) -> &'static str {
        "exact, in a process that can be killed"
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        if !self.0.takes(instance) {
            return by_name(EXACT)?.solve(instance, options, observer);
        }
        solve(&self.0, EXACT, instance, options, observer).map_err(|e| match e {
            ServiceError::Solver(own) => own,
            other => SolverError::Process(format!("{:#}", anyhow::Error::from(other))),
        })
    }
}

/// What the child is asked.
#[derive(Serialize, Deserialize)]
struct Task {
    solver: String,
    time_limit_s: Option<f64>,
    work_limit: Option<u64>,
    gap: f64,
    seed: u64,
    threads: u32,
    warm_start: Option<Plan>,
    instance: InstanceDto,
}

/// A plan in positions of the instance.
#[derive(Clone, Serialize, Deserialize)]
struct Plan {
    picks: Vec<Option<(usize, Option<usize>)>>,
    modes: Vec<Option<usize>>,
}

impl Plan {
    fn of(plan: &Assignment) -> Self {
        let pick = |p: &Option<Pick>| p.map(|p| (p.option.at(), p.device.map(|d| d.at())));
        Self {
            picks: plan.picks.iter().map(pick).collect(),
            modes: plan.modes.iter().map(|m| m.map(|m| m.at())).collect(),
        }
    }

    fn lower(&self) -> Assignment {
        let pick = |p: &Option<(usize, Option<usize>)>| {
            p.map(|(o, d)| Pick { option: OptionIx::new(o), device: d.map(DeviceIx::new) })
        };
        Assignment {
            picks: self.picks.iter().map(pick).collect(),
            modes: self.modes.iter().map(|m| m.map(ModeIx::new)).collect(),
        }
    }
}

/// What the child says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress {
        primal: Option<f64>,
        dual: Option<f64>,
        nodes: u64,
        elapsed_s: f64,
    },
    Plan(Plan),
    Done(Box<Done>),
    /// The request cannot be solved; the parent finds the same in a moment, with its own types.
    Refused,
    Failed(String),
}

#[derive(Serialize, Deserialize)]
struct Done {
    status: Status,
    plan: Option<Plan>,
    dual: Option<f64>,
    termination: Termination,
    nodes: u64,
    cuts: u64,
    method: String,
    levels: Vec<(Term, f64, Option<f64>)>,
    reduction: Option<ReductionDto>,
    timings_s: BTreeMap<String, f64>,
    notes: Vec<String>,
}

/// Solves `instance` in a child process.
///
/// # Errors
/// As the solver; [`ServiceError::Worker`] when no child can be started.
pub fn solve(
    isolated: &Isolated,
    solver: &'static str,
    instance: &Instance,
    options: &SolveOptions,
    observer: &mut dyn Observer,
) -> Result<Solution, ServiceError> {
    let objective = options.objective.clone().unwrap_or_else(|| instance.objective.clone());
    let task = Task {
        solver: solver.to_owned(),
        time_limit_s: options.time_limit.map(|limit| limit.as_secs_f64()),
        work_limit: options.work_limit,
        gap: options.gap,
        seed: options.seed,
        threads: options.threads,
        warm_start: options.warm_start.as_ref().map(Plan::of),
        instance: InstanceDto::raise(&instance.with_objective(objective.clone())),
    };
    let (mut child, lines, hold) = start(&isolated.program, &task)?;
    let mut hold = Some(hold);
    let clock = &options.clock;
    let begun = clock.now();
    let deadline = options.time_limit.map(|limit| begun + limit + GRACE);
    let (mut best, mut dual, mut nodes): (Option<Assignment>, Option<f64>, u64) = (None, None, 0);
    let mut asked: Option<Duration> = None;
    let mut killed = None;
    // The caller's clock may be a virtual one that stands still during a solve.
    let wall = SystemClock::new();
    let mut heard = wall.now();
    let done = loop {
        let line = lines.recv_timeout(TICK);
        if line.is_ok() {
            heard = wall.now();
        }
        match line {
            Ok(Line::Progress { primal, dual: bound, nodes: so_far, .. }) => {
                (dual, nodes) = (bound.or(dual), so_far);
                let elapsed = clock.now().saturating_sub(begun);
                observer.progress(&Incumbent { primal, dual, nodes, elapsed });
            }
            Ok(Line::Plan(plan)) => {
                let plan = plan.lower();
                if check(instance, &plan, &objective).passes() {
                    observer.plan(&plan);
                    best = Some(plan);
                }
            }
            Ok(Line::Done(done)) => break Some(done),
            Ok(Line::Refused) => {
                stop(&mut child);
                return Ok(by_name(solver)?.solve(instance, options, observer)?);
            }
            Ok(Line::Failed(message)) => {
                tracing::error!(message, "the solver process failed");
                break None;
            }
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = clock.now();
        if options.cancel.is_cancelled() && asked.is_none() {
            asked = Some(now);
            hold = None; // the child sees its input end, and stops
        }
        let late = deadline.is_some_and(|d| now >= d) || asked.is_some_and(|at| now >= at + GRACE);
        let silent = deadline.is_none() && wall.now() >= heard + isolated.silence;
        if late || silent {
            killed = Some(if late { "was stopped, being late" } else { "was stopped, having gone silent" });
            break None;
        }
    };
    drop(hold);
    let exit = stop(&mut child);
    match done {
        Some(done) => Ok(finished(*done, solver, instance, options, objective)),
        None => {
            let why = killed.map_or_else(|| format!("ended early ({exit})"), str::to_owned);
            tracing::warn!(exit, killed, "the solver process gave no answer");
            interrupted(&why, best, dual, nodes, solver, instance, options)
        }
    }
}

/// Kills and reaps; says how it ended.
fn stop(child: &mut Child) -> String {
    let ended = child.try_wait().ok().flatten();
    let _ = child.kill();
    let status = ended.or_else(|| child.wait().ok());
    status.map_or_else(|| "unknown".to_owned(), |s| s.to_string())
}

type Started = (Child, Receiver<Line>, std::process::ChildStdin);

fn start(program: &Path, task: &Task) -> Result<Started, ServiceError> {
    let fault = |source| ServiceError::Worker { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(fault)?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(fault(std::io::Error::other("no pipe")));
    };
    let (send, lines) = sync_channel(64);
    let reader = std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
        let mut output = BufReader::new(output);
        let mut text = Vec::new();
        loop {
            text.clear();
            let read = output.by_ref().take(LINE).read_until(b'\n', &mut text);
            if !read.is_ok_and(|n| n > 0) {
                return;
            }
            let Ok(line) = serde_json::from_slice(&text) else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    // A child that dies while it is written to shows by its missing answer.
    let mut text = serde_json::to_vec(task)?;
    text.push(b'\n');
    let _ = input.write_all(&text).and_then(|()| input.flush());
    reader.map_err(fault)?;
    Ok((child, lines, input))
}

/// The child's answer, its plan checked here.
fn finished(
    done: Done,
    solver: &'static str,
    instance: &Instance,
    options: &SolveOptions,
    objective: ecomap_instances::Objective,
) -> Solution {
    let plan = done.plan.as_ref().map(Plan::lower);
    let verdict = plan.as_ref().map(|plan| check(instance, plan, &objective)).filter(|v| v.passes());
    let plan = plan.filter(|_| verdict.is_some());
    let known =
        ["direct", "reduced-cost fixing", "neighbourhoods and restricted core", "relaxation", "enumeration"];
    let more =
        ["knapsacks per agent", "price decomposition", "reduction", "supported frontier", "neighbourhood"];
    let method = known.iter().chain(&more).copied().find(|m| *m == done.method).unwrap_or("worker");
    Solution {
        solver,
        status: if done.plan.is_some() && plan.is_none() { Status::TimeoutNoSolution } else { done.status },
        certificate: Certificate {
            primal: verdict.as_ref().map(|v| v.evaluation.value),
            dual: done.dual,
            termination: done.termination,
            nodes: done.nodes,
            cuts: done.cuts,
            seed: options.seed,
            instance_hash: ecomap_solver::solution::instance_hash(instance),
            method,
            levels: done
                .levels
                .into_iter()
                .map(|(term, primal, dual)| Level { term, primal, dual })
                .collect(),
        },
        objective,
        assignment: plan,
        verdict,
        reduction: done.reduction,
        timings: timings(&done.timings_s),
        notes: done.notes,
    }
}

/// The times that have a name here.
fn timings(all: &BTreeMap<String, f64>) -> BTreeMap<&'static str, Duration> {
    const STEPS: [&str; 7] = ["reduce", "prices", "start", "relax", "formulate", "solve", "check"];
    let step = |(name, seconds): (&String, &f64)| {
        let name = STEPS.iter().copied().find(|s| s == name)?;
        Some((name, Duration::try_from_secs_f64(*seconds).unwrap_or_default()))
    };
    all.iter().filter_map(step).collect()
}

/// The answer for a child that gave none.
fn interrupted(
    why: &str,
    best: Option<Assignment>,
    dual: Option<f64>,
    nodes: u64,
    solver: &'static str,
    instance: &Instance,
    options: &SolveOptions,
) -> Result<Solution, ServiceError> {
    let limits = SolveOptions {
        warm_start: best,
        time_limit: Some(GRACE),
        cancel: CancelToken::default(),
        ..options.clone()
    };
    let mut solution = match &limits.warm_start {
        Some(plan) => {
            let objective = options.objective.clone().unwrap_or_else(|| instance.objective.clone());
            let verdict = check(instance, plan, &objective);
            Solution {
                solver,
                status: Status::Feasible,
                certificate: Certificate {
                    primal: Some(verdict.evaluation.value),
                    dual: None,
                    termination: Termination::TimeLimit,
                    nodes,
                    cuts: 0,
                    seed: options.seed,
                    instance_hash: ecomap_solver::solution::instance_hash(instance),
                    method: "interrupted",
                    levels: Vec::new(),
                },
                objective,
                assignment: limits.warm_start.clone(),
                verdict: Some(verdict),
                reduction: None,
                timings: BTreeMap::new(),
                notes: Vec::new(),
            }
        }
        None => by_name("greedy")?.solve(instance, &limits, &mut ())?,
    };
    if options.cancel.is_cancelled() {
        solution.certificate.termination = Termination::Cancelled;
    }
    solution.certificate.dual = dual.or(solution.certificate.dual);
    solution.certificate.nodes = nodes;
    if let Some((primal, dual)) = solution.certificate.primal.zip(solution.certificate.dual)
        && relative_gap(primal, dual) <= options.gap
    {
        solution.status = Status::Optimal;
    }
    solution.notes.push(format!("the solver process {why}; this is the best plan known by then"));
    Ok(solution)
}

/// Tells the parent what happens.
struct Teller<'a> {
    out: &'a mut dyn Write,
}

impl Teller<'_> {
    fn tell(&mut self, line: &Line) {
        if let Ok(mut text) = serde_json::to_vec(line) {
            text.push(b'\n');
            // Without a parent there is nobody to tell; the end of the input stops the solve.
            let _ = self.out.write_all(&text).and_then(|()| self.out.flush());
        }
    }
}

impl Observer for Teller<'_> {
    fn progress(&mut self, at: &Incumbent) {
        let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
        self.tell(&Line::Progress {
            primal: finite(at.primal),
            dual: finite(at.dual),
            nodes: at.nodes,
            elapsed_s: at.elapsed.as_secs_f64(),
        });
    }

    fn plan(&mut self, plan: &Assignment) {
        self.tell(&Line::Plan(Plan::of(plan)));
    }
}

/// The child: reads a task, solves it, answers. `input` must be standard input: its end asks to stop.
///
/// # Errors
/// [`ServiceError::Json`] for a task that cannot be read.
pub fn serve(out: &mut dyn Write) -> Result<(), ServiceError> {
    let mut first = Vec::new();
    let _ = BufReader::new(std::io::stdin()).read_until(b'\n', &mut first);
    let task: Task = serde_json::from_slice(&first)?;
    drop(first);
    let cancel = CancelToken::default();
    let watched = cancel.clone();
    let _ = std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        let mut rest = [0_u8; 64];
        while std::io::stdin().read(&mut rest).is_ok_and(|n| n > 0) {}
        watched.cancel();
    });
    let mut teller = Teller { out };
    let line = match answer(task, cancel, &mut teller) {
        Ok(done) => Line::Done(Box::new(done)),
        Err(
            ServiceError::Invalid(_)
            | ServiceError::Solver(SolverError::Unsupported { .. } | SolverError::Plan(_)),
        ) => Line::Refused,
        Err(other) => Line::Failed(other.to_string()),
    };
    teller.tell(&line);
    Ok(())
}

fn answer(task: Task, cancel: CancelToken, teller: &mut Teller<'_>) -> Result<Done, ServiceError> {
    let instance = task.instance.lower()?;
    let options = SolveOptions {
        objective: None,
        time_limit: task.time_limit_s.and_then(|s| Duration::try_from_secs_f64(s).ok()),
        work_limit: task.work_limit,
        gap: task.gap,
        seed: task.seed,
        threads: task.threads,
        warm_start: task.warm_start.as_ref().map(Plan::lower),
        cancel,
        clock: SystemClock::shared(),
    };
    let solution = by_name(&task.solver)?.solve(&instance, &options, teller)?;
    let certificate = solution.certificate;
    Ok(Done {
        status: solution.status,
        plan: solution.assignment.as_ref().map(Plan::of),
        dual: certificate.dual.filter(|d| d.is_finite()),
        termination: certificate.termination,
        nodes: certificate.nodes,
        cuts: certificate.cuts,
        method: certificate.method.to_owned(),
        levels: certificate.levels.iter().map(|l| (l.term, l.primal, l.dual)).collect(),
        reduction: solution.reduction,
        timings_s: solution.timings.iter().map(|(k, v)| ((*k).to_owned(), v.as_secs_f64())).collect(),
        notes: solution.notes,
    })
}

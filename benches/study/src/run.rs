//! All cells, in parallel, each written when it is done; a run that was interrupted goes on.

use crate::StudyError;
use crate::cell::{self, Hour, Played};
use crate::config::{Method, Problem, Study};
use crate::scene::{Stage, intensities};
use crate::table::{self, Conditions, Moment, Record, Row, Share, short};
use crate::truth::Truth;
use ecomap_estimator::Predictor as _;
use ecomap_estimator::learned::{Learned, Options};
use ecomap_solver::{CancelToken, SolveOptions, by_name};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What was done last.
    pub what: String,
    /// Cells done, those of earlier runs included.
    pub done: usize,
    /// Of these, cells of earlier runs.
    pub kept: usize,
    /// Cells in all.
    pub of: usize,
}

/// What is told of progress.
pub type Tell<'a> = dyn Fn(&Progress) + Sync + 'a;

/// All that a study came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tables {
    /// Rows, moments and latencies of all cells.
    pub played: Played,
    /// What they were made under.
    pub conditions: Vec<Conditions>,
}

impl Tables {
    /// Reads those that lie in `folder`; `None` where there are no rows.
    ///
    /// # Errors
    /// [`StudyError::File`] and [`StudyError::Row`].
    pub fn read(folder: &Path) -> Result<Option<Self>, StudyError> {
        let Some(played) = Played::read(folder)? else { return Ok(None) };
        Ok(Some(Self { played, conditions: some(folder)?.unwrap_or_default() }))
    }

    fn write(&self, folder: &Path) -> Result<(), StudyError> {
        table::write(&folder.join(Conditions::FILE), &self.conditions)?;
        self.played.write(folder)
    }
}

impl Played {
    fn read(folder: &Path) -> Result<Option<Self>, StudyError> {
        let Some(rows) = some(folder)? else { return Ok(None) };
        Ok(Some(Self {
            rows,
            moments: some(folder)?.unwrap_or_default(),
            shares: some(folder)?.unwrap_or_default(),
        }))
    }

    /// Rows last: where they are, the others are too.
    fn write(&self, folder: &Path) -> Result<(), StudyError> {
        table::write(&folder.join(Moment::FILE), &self.moments)?;
        table::write(&folder.join(Share::FILE), &self.shares)?;
        table::write(&folder.join(Row::FILE), &self.rows)
    }
}

fn some<T: Record>(folder: &Path) -> Result<Option<Vec<T>>, StudyError> {
    table::read(&folder.join(T::FILE))
}

fn make(folder: &Path) -> Result<(), StudyError> {
    std::fs::create_dir_all(folder).map_err(|source| StudyError::File { path: folder.to_owned(), source })
}

struct Scene {
    stage: usize,
    trace: usize,
    hours: Vec<Hour>,
}

struct Cell<'a> {
    scene: &'a Scene,
    method: &'a Method,
    seed: u64,
}

/// Runs `study` on `threads` threads, one for each core when `None`, and writes its tables into
/// `folder`, and those of each cell under `cells/`. Cells that an earlier run with the same conditions
/// has finished are kept. Gives all tables, or `None` when `cancel` ended it; what was finished by then stays.
///
/// # Errors
/// The first [`StudyError`] of any cell.
pub fn run(
    study: &Study,
    folder: &Path,
    threads: Option<usize>,
    cancel: &CancelToken,
    tell: &Tell<'_>,
) -> Result<Option<Tables>, StudyError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .map_err(|error| StudyError::Value(format!("cannot start threads: {error}")))?;
    pool.install(|| all(study, folder, cancel, tell))
}

fn all(
    study: &Study,
    folder: &Path,
    cancel: &CancelToken,
    tell: &Tell<'_>,
) -> Result<Option<Tables>, StudyError> {
    let cells_folder = folder.join("cells");
    make(&cells_folder)?;
    let jointly = study.methods.iter().any(|m| m.problem == Problem::Contention);
    let predictor = jointly.then(|| Learned::load(&Options::default())).transpose()?.map(Arc::new);
    let open = |name: &String| Stage::open(name, study.objective.as_ref(), predictor.as_ref());
    let stages: Vec<Stage> = study.scenarios.iter().map(open).collect::<Result<_, _>>()?;
    let pairs: Vec<(usize, usize)> =
        (0..stages.len()).flat_map(|s| (0..study.traces.len()).map(move |t| (s, t))).collect();
    let scenes: Vec<Scene> =
        pairs.par_iter().map(|(s, t)| scene(study, &stages, *s, *t, cancel)).collect::<Result<_, _>>()?;
    if cancel.is_cancelled() {
        return Ok(None);
    }
    let cells: Vec<Cell<'_>> = scenes
        .iter()
        .flat_map(|scene| study.methods.iter().map(move |method| (scene, method)))
        .flat_map(|(scene, method)| study.seeds.iter().map(move |seed| Cell { scene, method, seed: *seed }))
        .collect();
    let truth = Truth::new(study.simulation)?;
    let conditions = |method: &Method| {
        let joint = predictor.as_ref().filter(|_| method.problem == Problem::Contention);
        Conditions::new(match joint {
            Some(predictor) => format!("{};joint={}", study.conditions(), predictor.version()),
            None => study.conditions(),
        })
    };
    let progress = Mutex::new(Progress { what: String::new(), done: 0, kept: 0, of: cells.len() });
    let done: Vec<Option<Played>> = cells
        .par_iter()
        .map(|cell| {
            let (stage, trace) = (&stages[cell.scene.stage], &study.traces[cell.scene.trace].name);
            let label = format!(
                "{}_{trace}_{}_{}",
                stage.name.replace('/', "-"),
                cell.method.name.replace(':', "-"),
                cell.seed
            );
            let path = cells_folder.join(&label);
            let conditions = conditions(cell.method);
            let earlier = Played::read(&path).ok().flatten();
            let kept =
                earlier.filter(|p| stands(&p.rows, cell.scene, cell.method.problem, &conditions.conditions));
            let earlier = kept.is_some();
            let played = match kept {
                Some(played) => Some(played),
                None if cancel.is_cancelled() => None,
                None => {
                    let hours = &cell.scene.hours;
                    let played = cell::play(
                        study,
                        stage,
                        trace,
                        hours,
                        cell.method,
                        cell.seed,
                        &truth,
                        cancel,
                        &conditions,
                    )?;
                    if let Some(played) = &played {
                        make(&path)?;
                        played.write(&path)?;
                    }
                    played
                }
            };
            if played.is_some() {
                let mut progress = progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                progress.done += 1;
                progress.kept += usize::from(earlier);
                progress.what = label;
                tell(&progress);
            }
            Ok(played)
        })
        .collect::<Result<_, StudyError>>()?;
    let Some(lists) = done.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let mut tables = Tables::default();
    for cell in lists {
        tables.played.rows.extend(cell.rows);
        tables.played.moments.extend(cell.moments);
        tables.played.shares.extend(cell.shares);
    }
    let made_under: BTreeSet<Conditions> = study.methods.iter().map(conditions).collect();
    tables.conditions = made_under.into_iter().collect();
    tables.write(folder)?;
    Ok(Some(tables))
}

/// Whether rows of an earlier run are those that this run would write.
fn stands(rows: &[Row], scene: &Scene, problem: Problem, conditions: &str) -> bool {
    let hash = |hour: &Hour| short(&ecomap_solver::solution::instance_hash(&hour.instance));
    rows.len() == scene.hours.len()
        && rows.iter().zip(&scene.hours).all(|(row, hour)| {
            // With the joint predictor in the loop the bound is of another problem, by its own solve.
            (problem == Problem::Contention || row.bound == hour.bound)
                && row.conditions == conditions
                && row.instance == hash(hour)
        })
}

/// The problems of a scene, each with the bound of the exact method.
fn scene(
    study: &Study,
    stages: &[Stage],
    stage: usize,
    trace: usize,
    cancel: &CancelToken,
) -> Result<Scene, StudyError> {
    let exact = by_name("exact")?;
    let mut hours: Vec<Hour> = Vec::new();
    for carbon in intensities(study, &study.traces[trace])? {
        let instance = stages[stage].at(carbon)?;
        let known = hours.iter().find(|h| h.instance == instance).map(|h| h.bound);
        let bound = match known {
            Some(bound) => bound,
            None => {
                // Without a time limit, so that the bound is the same in every run.
                let options =
                    SolveOptions { time_limit: None, ..cell::options(&study.limits, exact, 0, cancel) };
                exact.solve(&instance, &options, &mut ())?.certificate.dual
            }
        };
        hours.push(Hour { carbon, instance, bound });
    }
    Ok(Scene { stage, trace, hours })
}

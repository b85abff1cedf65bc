//! SVG figures, each drawn from the table alone.

mod anytime;
mod bars;
mod canvas;
mod curves;
mod lines;
mod points;

use crate::StudyError;
use crate::cell::Played;
use crate::stats::by_scene;
use crate::table::Row;
use std::path::{Path, PathBuf};

/// Draws every figure of the tables into `folder`, named `PREFIX-….svg`; gives their names. Without
/// moments there is no anytime figure, without latencies none of requests.
///
/// # Errors
/// [`StudyError`] when a file cannot be written.
pub fn draw(played: &Played, folder: &Path, prefix: &str) -> Result<Vec<String>, StudyError> {
    std::fs::create_dir_all(folder).map_err(|source| StudyError::File { path: folder.to_owned(), source })?;
    let rows = &played.rows;
    let groups = methods(rows);
    let mut figures: Vec<(&str, String)> = vec![
        ("carbon", bars::draw(&groups, "carbon, g/h (simulated)", |r| r.carbon_g).map_err(wrong(folder))?),
        (
            "cdp",
            bars::draw(&groups, "carbon × mean latency, g·ms (simulated)", |r| r.cdp)
                .map_err(wrong(folder))?,
        ),
        ("accuracy", points::draw(&groups).map_err(wrong(folder))?),
        ("tail", curves::tail(&groups).map_err(wrong(folder))?),
        ("profile", curves::profile(&groups).map_err(wrong(folder))?),
        ("day", curves::day(rows, &groups).map_err(wrong(folder))?),
    ];
    let order: Vec<&str> = groups.iter().map(|g| g.name).collect();
    if !played.shares.is_empty() {
        figures.push(("latency", curves::latency(&order, &played.shares).map_err(wrong(folder))?));
    }
    if !played.moments.is_empty() {
        figures.push(("anytime", anytime::draw(&order, &played.moments).map_err(wrong(folder))?));
    }
    let mut names = Vec::new();
    for (figure, svg) in figures {
        let name = format!("{prefix}-{figure}.svg");
        let path = folder.join(&name);
        std::fs::write(&path, svg).map_err(|source| StudyError::File { path, source })?;
        names.push(name);
    }
    Ok(names)
}

fn wrong(folder: &Path) -> impl Fn(String) -> StudyError + '_ {
    move |what| StudyError::Figure { path: PathBuf::from(folder), what }
}

/// The rows of one method.
struct Group<'a> {
    name: &'a str,
    rows: Vec<&'a Row>,
}

impl Group<'_> {
    fn by_scene(&self, of: impl Fn(&Row) -> f64) -> Vec<f64> {
        by_scene(&self.rows, of)
    }
}

/// Methods in the order in which they appear.
fn methods(rows: &[Row]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|g| g.name == row.method) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { name: &row.method, rows: vec![row] }),
        }
    }
    groups
}

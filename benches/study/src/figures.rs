//! SVG figures, each drawn from the table alone.

mod bars;
mod canvas;
mod curves;
mod points;

use crate::StudyError;
use crate::stats::by_scene;
use crate::table::Row;
use std::path::{Path, PathBuf};

/// Draws every figure of `rows` into `folder`, named `PREFIX-….svg`; gives their names.
///
/// # Errors
/// [`StudyError`] when a file cannot be written.
pub fn draw(rows: &[Row], folder: &Path, prefix: &str) -> Result<Vec<String>, StudyError> {
    std::fs::create_dir_all(folder).map_err(|source| StudyError::File { path: folder.to_owned(), source })?;
    let groups = methods(rows);
    let figures: [(&str, String); 6] = [
        ("carbon", bars::draw(&groups, "carbon, g/h (simulated)", |r| r.carbon_g).map_err(wrong(folder))?),
        (
            "cdp",
            bars::draw(&groups, "carbon × mean latency, g·ms (simulated)", |r| r.cdp)
                .map_err(wrong(folder))?,
        ),
        ("accuracy", points::draw(&groups).map_err(wrong(folder))?),
        ("latency", curves::latency(&groups).map_err(wrong(folder))?),
        ("profile", curves::profile(&groups).map_err(wrong(folder))?),
        ("day", curves::day(rows, &groups).map_err(wrong(folder))?),
    ];
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

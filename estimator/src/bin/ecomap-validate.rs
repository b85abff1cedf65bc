//! Compares the analytic estimator with public measurements, and fits its parameters.
//!
//! `ecomap-validate [--data DIR] [--out FILE] [--fit]`

use ecomap_estimator::validation::{fit, load, report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the fitted parameters live.
const PARAMETERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/roofline.json");

struct Arguments {
    data: PathBuf,
    out: Option<PathBuf>,
    fit: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ecomap-validate: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments = arguments()?;
    if !arguments.data.join("jetson").is_dir() {
        eprintln!("skipped: no measurements in {}", arguments.data.display());
        return Ok(());
    }
    let all = load(&arguments.data).map_err(|e| e.to_string())?;
    let fitted = fit::fit(&all);
    if arguments.fit {
        let mut text = serde_json::to_string_pretty(&fit::shipped(&fitted)).map_err(|e| e.to_string())?;
        text.push('\n');
        write(Path::new(PARAMETERS), &text)?;
    }
    if let Some(out) = &arguments.out {
        write(out, &report::markdown(&fitted, &all))?;
    } else if !arguments.fit {
        for line in report::lines(&fitted, &all) {
            eprintln!("{line:?}");
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn arguments() -> Result<Arguments, String> {
    let mut read = Arguments {
        data: std::env::var_os("ECOMAP_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from),
        out: None,
        fit: false,
    };
    let mut given = std::env::args_os().skip(1);
    while let Some(word) = given.next() {
        match word.to_str() {
            Some("--data") => read.data = given.next().ok_or("--data needs a folder")?.into(),
            Some("--out") => read.out = Some(given.next().ok_or("--out needs a file")?.into()),
            Some("--fit") => read.fit = true,
            _ => return Err(format!("unknown argument `{}`", word.display())),
        }
    }
    Ok(read)
}

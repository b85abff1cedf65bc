//! `ecomap validate`.

use super::{Exit, InputFormat, out};
use crate::http::problem::ProblemItem;
use crate::input;
use crate::pipeline::{self, Sizes};
use crate::{ServiceError, input::Document};
use ecomap_instances::Issues;
use ecomap_instances::format::{self, Format, Input, result_v1};
use ecomap_solver::clock::SystemClock;
use serde::Serialize;
use std::fmt::Write as _;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, `-` for standard input, or names of embedded scenarios
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Format of the files; guessed when absent
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Finding {
    file: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    errors: Vec<ProblemItem>,
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // signature that serde asks for
fn is_zero(n: &usize) -> bool {
    *n == 0
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut findings = Vec::new();
    for file in &args.files {
        let document = input::read(file)?;
        findings.push(match look(&document, args.format.map(Into::into)) {
            Ok(summary) => Finding {
                file: file.clone(),
                valid: true,
                summary: Some(summary),
                errors: Vec::new(),
                omitted: 0,
            },
            Err(ServiceError::Invalid(issues)) => invalid(file, &issues),
            Err(error) => return Err(error.into()),
        });
    }
    let exit = if findings.iter().all(|f| f.valid) { Exit::Ok } else { Exit::Invalid };
    if args.json {
        out::print_json(&findings)?;
        return Ok(exit);
    }
    let mut text = String::new();
    for finding in &findings {
        match &finding.summary {
            Some(summary) => {
                let _ = writeln!(text, "{}: valid, {summary}", finding.file);
            }
            None => {
                let _ = writeln!(text, "{}: not valid", finding.file);
            }
        }
        for error in &finding.errors {
            let place = if error.pointer.is_empty() { "document" } else { &error.pointer };
            let _ = writeln!(text, "  {} {place}: {}\n        {}", error.code, error.message, error.remedy);
        }
        if finding.omitted > 0 {
            let _ = writeln!(text, "  … and {} more", finding.omitted);
        }
    }
    out::print(&text)?;
    Ok(exit)
}

fn invalid(file: &str, issues: &Issues) -> Finding {
    Finding {
        file: file.to_owned(),
        valid: false,
        summary: None,
        errors: issues.list().iter().map(|i| ProblemItem::from_issue(i, "")).collect(),
        omitted: issues.omitted(),
    }
}

/// What a valid document is, in a few words.
fn look(document: &Document, format: Option<Format>) -> Result<String, ServiceError> {
    if format.is_none() && format::guess(&document.bytes) == Some(Format::Result) {
        let result = result_v1::read(&document.bytes)?;
        return Ok(format!("result of {} ({})", result.name, result.status.as_str()));
    }
    let loaded =
        pipeline::load(&document.name, &document.bytes, format, Sizes::UNBOUNDED, &SystemClock::new())?;
    Ok(match &loaded.input {
        Input::Scenario(s) => format!(
            "scenario {} ({} tenants, {} devices, {} sites)",
            s.name,
            s.tenants.len(),
            s.devices.len(),
            s.sites.len()
        ),
        Input::Accelerators(w) => format!(
            "accelerator jobs {} ({} jobs, {} servers, {} accelerators, question {})",
            w.name(),
            w.jobs().len(),
            w.servers().len(),
            w.accelerators(),
            w.question().as_str()
        ),
        Input::Instance(i) => format!(
            "{} instance {} ({} tenants, {} options, {} capacities)",
            loaded.format,
            i.name,
            i.tenants.len(),
            i.option_count(),
            i.capacities.len()
        ),
    })
}

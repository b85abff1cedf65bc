//! The port, and the choice among what this machine has.

use crate::power::PowerError;
use crate::power::command::Program;
use crate::power::ina3221::Ina3221;
use crate::power::model::Model;
use crate::power::rapl::Rapl;
use crate::power::reading::{Activity, Origin, Reading, Scope};
use crate::power::tegrastats::Tegrastats;
use ecomap_instances::profile::Profile;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Something that tells what a board draws. Methods block for as long as a few small files take.
pub trait PowerSource: Send + Debug {
    /// Short name, for people.
    fn name(&self) -> &'static str;

    /// How its numbers come about.
    fn origin(&self) -> Origin;

    /// What its total covers.
    fn scope(&self) -> Scope;

    /// Reads everything once. What is wrong with single rails is in the reading.
    ///
    /// # Errors
    /// When nothing at all can be said.
    fn read(&mut self, activity: &Activity<'_>) -> Result<Reading, PowerError>;
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where sysfs is mounted, usually `/sys`.
    pub sysfs: PathBuf,
    /// `tegrastats`; `None`: do not start it.
    pub tegrastats: Option<Program>,
    /// Time between readings.
    pub interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sysfs: PathBuf::from("/sys"),
            tegrastats: Some(Program::new(["tegrastats"])),
            interval: Duration::from_secs(1),
        }
    }
}

/// The best source of this machine, and why the better ones were passed over, for the log.
///
/// A Jetson's rails, else `tegrastats`, else RAPL, else the profile's model. A monitor that is there but whose rails
/// make no total (one is missing, or may not be read) is passed over as well, unless nothing else measures.
#[must_use]
pub fn open(settings: &Settings, profile: &Arc<Profile>) -> (Box<dyn PowerSource>, Vec<String>) {
    let mut passed_over = Vec::new();
    let silence = Activity { at: Duration::ZERO, busy: &[], mode: None };
    let jetson = profile.kind == "jetson";
    if jetson {
        match Ina3221::open(&settings.sysfs) {
            Ok(mut rails) => match rails.read(&silence) {
                Ok(Reading { total: Some(_), .. }) => return (Box::new(rails), passed_over),
                Ok(reading) => {
                    let faults: Vec<String> = reading.faults.iter().map(ToString::to_string).collect();
                    passed_over.push(format!("ina3221: no total ({})", faults.join(", ")));
                }
                Err(error) => passed_over.push(format!("ina3221: {error}")),
            },
            Err(error) => passed_over.push(format!("ina3221: {error}")),
        }
        if let Some(program) = &settings.tegrastats {
            match Tegrastats::start(program, settings.interval) {
                Ok(source) => return (Box::new(source), passed_over),
                Err(error) => passed_over.push(format!("tegrastats: {error}")),
            }
        }
    } else {
        match Rapl::open(&settings.sysfs) {
            Ok(counters) => return (Box::new(counters), passed_over),
            Err(error) => passed_over.push(format!("rapl: {error}")),
        }
    }
    (Box::new(Model::new(Arc::clone(profile))), passed_over)
}

//! Progress of a solve on standard error, and Ctrl-C.

use super::out;
use super::table::{exact, percent};
use ecomap_instances::plan::relative_gap;
use ecomap_solver::{CancelToken, Incumbent, Observer};
use std::time::Duration;

/// Least time between two lines that bring no better plan.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints a line for each better plan, and now and then for a better bound.
#[derive(Debug, Default)]
pub(super) struct Progress {
    primal: Option<f64>,
    last: Option<Duration>,
}

impl Observer for Progress {
    fn progress(&mut self, incumbent: &Incumbent) {
        let better = incumbent.primal.is_some() && incumbent.primal != self.primal;
        let due = self.last.is_none_or(|last| incumbent.elapsed.saturating_sub(last) >= PAUSE);
        if !better && !due {
            return;
        }
        self.primal = incumbent.primal;
        self.last = Some(incumbent.elapsed);
        let value = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or_else(|| "-".to_owned(), exact);
        let gap = incumbent
            .primal
            .zip(incumbent.dual)
            .map(|(p, d)| relative_gap(p, d))
            .filter(|g| g.is_finite())
            .map_or_else(|| "-".to_owned(), percent);
        out::note(&format!(
            "{:8.2} s  plan {:>16}  bound {:>16}  gap {gap:>10}  nodes {}",
            incumbent.elapsed.as_secs_f64(),
            value(incumbent.primal),
            value(incumbent.dual),
            incumbent.nodes
        ));
    }
}

/// Makes Ctrl-C end the solve with the best plan so far; a second one ends the process.
pub(super) fn cancel_on_interrupt(cancel: CancelToken) {
    // Without a runtime Ctrl-C ends the process at once, as it would without this function.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let _ = std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            out::note("stopping; once more to end without an answer");
            cancel.cancel();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
}

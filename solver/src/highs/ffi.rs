//! The one file that speaks to the C interface of HiGHS directly, for what the `highs` crate does
//! not offer: callbacks, 64-bit information, names, the thread pool.
#![allow(unsafe_code)]

use crate::error::SolverError;
use highs::{Model, SolvedModel};
use highs_sys::{
    Highs_changeCoeff, Highs_changeColBounds, Highs_changeObjectiveOffset, Highs_getInt64InfoValue,
    Highs_passColName, Highs_passRowName, Highs_resetGlobalScheduler, Highs_setCallback, Highs_startCallback,
    Highs_versionMajor, Highs_versionMinor, Highs_versionPatch, Highs_writeModel, HighsCallbackDataIn,
    HighsCallbackDataOut, HighsInt, kHighsCallbackIpmInterrupt, kHighsCallbackMipImprovingSolution,
    kHighsCallbackMipInterrupt, kHighsCallbackMipLogging, kHighsCallbackSimplexInterrupt,
};
use std::cell::Cell;
use std::ffi::CString;
use std::os::raw::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the callbacks look at and report to.
pub(super) struct Watch<'a> {
    /// Whether the run should stop now.
    pub stop: &'a dyn Fn() -> bool,
    /// Primal bound, dual bound, nodes.
    pub progress: &'a mut dyn FnMut(Option<f64>, Option<f64>, u64),
    /// Column values of a better solution.
    pub improved: &'a mut dyn FnMut(&[f64]),
}

/// The version of HiGHS that is linked.
#[must_use]
pub fn version() -> String {
    // SAFETY: these take no argument and return integers.
    let (major, minor, patch) = unsafe { (Highs_versionMajor(), Highs_versionMinor(), Highs_versionPatch()) };
    format!("{major}.{minor}.{patch}")
}

/// Resets HiGHS' thread pool of this OS thread when it was made for another number of threads;
/// without that `Highs_run` fails.
pub(super) fn match_threads(threads: u32) {
    thread_local! {
        static LAST: Cell<u32> = const { Cell::new(0) };
    }
    LAST.with(|last| {
        if last.replace(threads) != threads {
            // SAFETY: no HiGHS run is under way on this thread; the pool is made anew at the next.
            unsafe { Highs_resetGlobalScheduler(1) };
        }
    });
}

/// Runs the model with callbacks that call `watch`.
pub(super) fn run_watched(mut model: Model, watch: &mut Watch<'_>) -> Result<SolvedModel, SolverError> {
    let data = std::ptr::from_mut(watch).cast::<c_void>();
    let highs = model.as_mut_ptr();
    // SAFETY: `highs` is a live HiGHS object owned by `model`; `data` points to `watch`, which
    // outlives the run below; `on_callback` has the signature that HiGHS expects.
    let status = unsafe { Highs_setCallback(highs, Some(on_callback), data) };
    check("Highs_setCallback", status)?;
    for kind in [
        kHighsCallbackSimplexInterrupt,
        kHighsCallbackIpmInterrupt,
        kHighsCallbackMipImprovingSolution,
        kHighsCallbackMipLogging,
        kHighsCallbackMipInterrupt,
    ] {
        // SAFETY: as above; `kind` is one of HiGHS' own constants.
        check("Highs_startCallback", unsafe { Highs_startCallback(highs, kind) })?;
    }
    let mut solved = model
        .try_solve()
        .map_err(|status| SolverError::Highs { call: "Highs_run", status: status as i32 })?;
    // SAFETY: live object; from here on HiGHS must not call into `watch`, which ends with this call.
    check("Highs_setCallback", unsafe {
        Highs_setCallback(solved.as_mut_ptr(), None, std::ptr::null_mut())
    })?;
    Ok(solved)
}

unsafe extern "C" fn on_callback(
    kind: c_int,
    _message: *const c_char,
    out: *const HighsCallbackDataOut,
    input: *mut HighsCallbackDataIn,
    data: *mut c_void,
) {
    // A panic must not unwind into C++; it stops the run instead.
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `data` is the `Watch` given to `Highs_setCallback`, alive for the whole run, and
        // HiGHS calls back from one thread at a time.
        let watch = unsafe { &mut *data.cast::<Watch<'_>>() };
        let reports = kind == kHighsCallbackMipImprovingSolution || kind == kHighsCallbackMipLogging;
        if reports && !out.is_null() {
            // SAFETY: HiGHS passes a valid record for the time of the call.
            let out = unsafe { &*out };
            let finite = |x: f64| (x.is_finite() && x.abs() < 1e30).then_some(x);
            let nodes = u64::try_from(out.mip_node_count).unwrap_or(0);
            (watch.progress)(finite(out.mip_primal_bound), finite(out.mip_dual_bound), nodes);
            let size = usize::try_from(out.mip_solution_size).unwrap_or(0);
            if kind == kHighsCallbackMipImprovingSolution && !out.mip_solution.is_null() && size > 0 {
                // SAFETY: HiGHS passes so many values of the columns for the time of the call.
                (watch.improved)(unsafe { std::slice::from_raw_parts(out.mip_solution, size) });
            }
        }
        (watch.stop)()
    }));
    if result.unwrap_or(true) && !input.is_null() {
        // SAFETY: HiGHS passes a valid record to write to.
        unsafe { (*input).user_interrupt = 1 };
    }
}

/// Changes the bounds of a column; what the last run found stays the start of the next.
pub(crate) fn set_bounds(model: &mut Model, column: usize, low: f64, high: f64) -> Result<(), SolverError> {
    let failed = SolverError::Highs { call: "Highs_changeColBounds", status: -1 };
    let column = HighsInt::try_from(column).map_err(|_| failed)?;
    // SAFETY: a live HiGHS object; an index that it lacks gives an error status.
    check("Highs_changeColBounds", unsafe { Highs_changeColBounds(model.as_mut_ptr(), column, low, high) })
}

/// Changes a coefficient; what the last run found stays the start of the next.
pub(crate) fn set_coefficient(
    model: &mut Model,
    row: usize,
    column: usize,
    value: f64,
) -> Result<(), SolverError> {
    let failed = |_| SolverError::Highs { call: "Highs_changeCoeff", status: -1 };
    let (row, column) =
        (HighsInt::try_from(row).map_err(failed)?, HighsInt::try_from(column).map_err(failed)?);
    // SAFETY: a live HiGHS object; an index that it lacks gives an error status.
    check("Highs_changeCoeff", unsafe { Highs_changeCoeff(model.as_mut_ptr(), row, column, value) })
}

/// Adds a constant to the objective, so that bounds and gaps are those of the whole objective.
pub(crate) fn set_offset(model: &mut Model, offset: f64) -> Result<(), SolverError> {
    // SAFETY: live object, plain number.
    check("Highs_changeObjectiveOffset", unsafe { Highs_changeObjectiveOffset(model.as_mut_ptr(), offset) })
}

/// Branch-and-bound nodes of the last run.
pub(super) fn node_count(model: &SolvedModel) -> u64 {
    let mut nodes: i64 = -1;
    // SAFETY: live object, NUL-terminated name of a 64-bit value, valid place to write.
    let status =
        unsafe { Highs_getInt64InfoValue(model.as_ptr(), c"mip_node_count".as_ptr(), &raw mut nodes) };
    if status == 0 { u64::try_from(nodes).unwrap_or(0) } else { 0 }
}

/// Names columns and rows and writes the model; the format follows the file's ending.
pub(crate) fn write_named(
    model: &mut Model,
    columns: &[String],
    rows: &[String],
    path: &str,
) -> Result<(), SolverError> {
    let highs = model.as_mut_ptr();
    let text = |name: &str| CString::new(name).map_err(|_| SolverError::Highs { call: "name", status: -1 });
    let index = |n: usize| HighsInt::try_from(n).map_err(|_| SolverError::Highs { call: "name", status: -1 });
    for (n, name) in columns.iter().enumerate() {
        let (name, n) = (text(name)?, index(n)?);
        // SAFETY: live object, column exists, NUL-terminated name that HiGHS copies.
        check("Highs_passColName", unsafe { Highs_passColName(highs, n, name.as_ptr()) })?;
    }
    for (n, name) in rows.iter().enumerate() {
        let (name, n) = (text(name)?, index(n)?);
        // SAFETY: as above, for a row.
        check("Highs_passRowName", unsafe { Highs_passRowName(highs, n, name.as_ptr()) })?;
    }
    let path = text(path)?;
    // SAFETY: live object, NUL-terminated path.
    check("Highs_writeModel", unsafe { Highs_writeModel(highs, path.as_ptr()) })
}

/// HiGHS returns 0 for success, 1 for a warning, −1 for an error.
fn check(call: &'static str, status: HighsInt) -> Result<(), SolverError> {
    if status < 0 { Err(SolverError::Highs { call, status }) } else { Ok(()) }
}

//! Threads on cores.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Binds the calling thread to `cores`, all of which it must get. Threads that it starts later are
/// bound to the same, those of a session of ONNX Runtime among them.
///
/// # Errors
/// Which core it cannot have, for people.
pub fn bind(cores: &[u32]) -> Result<(), String> {
    let mut set = CpuSet::new();
    for core in cores {
        let core = *core as usize;
        if core >= CpuSet::MAX_CPU {
            return Err(format!("core {core} is beyond {}", CpuSet::MAX_CPU));
        }
        set.set(core);
    }
    sched_setaffinity(None, &set).map_err(|e| format!("cannot run on cores {cores:?}: {e}"))?;
    // The kernel is content with one core of the set.
    let got = sched_getaffinity(None).map_err(|e| e.to_string())?;
    match cores.iter().find(|c| !got.is_set(**c as usize)) {
        Some(core) => Err(format!("there is no core {core} to run on")),
        None => Ok(()),
    }
}

/// The cores that the calling thread may run on, in order.
///
/// # Errors
/// The kernel's message.
pub fn allowed() -> Result<Vec<u32>, String> {
    let got = sched_getaffinity(None).map_err(|e| e.to_string())?;
    Ok((0..CpuSet::MAX_CPU).filter(|c| got.is_set(*c)).filter_map(|c| u32::try_from(c).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_its_cores_and_no_others() {
        let all = allowed().unwrap();
        let first = all[0];
        std::thread::spawn(move || {
            bind(&[first]).unwrap();
            assert_eq!(allowed().unwrap(), [first]);
            // What it starts inherits.
            assert_eq!(std::thread::spawn(allowed).join().unwrap().unwrap(), [first]);
            let missing = u32::try_from(CpuSet::MAX_CPU).unwrap() - 1;
            assert!(bind(&[missing]).unwrap_err().contains(&missing.to_string()));
            assert!(bind(&[missing + 1]).unwrap_err().contains("beyond"));
        })
        .join()
        .unwrap();
        assert_eq!(allowed().unwrap(), all);
    }
}

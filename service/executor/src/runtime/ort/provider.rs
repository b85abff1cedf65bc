//! A session on a unit's execution provider, or the reason why there is none.
//!
//! Providers are registered so that a failure to start is an error: ONNX Runtime would otherwise log
//! it and run everything on the CPU.

use super::settings::{Provider, UnitSettings};
use crate::runtime::refusal::Reason;
use ecomap_onnxruntime::environment;
use ort::ErrorCode;
use ort::ep::{CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use std::path::Path;

/// Why a session was not made.
pub(super) type Failure = (Reason, String);

/// Whether this ONNX Runtime was built with the provider.
///
/// # Errors
/// Why not, or that there is no ONNX Runtime.
pub(super) fn check(provider: &Provider) -> Result<(), Failure> {
    let missing = |message: String| (Reason::MissingProvider, message);
    environment().map_err(missing)?;
    let there = match provider {
        Provider::Cpu => Ok(true),
        Provider::Cuda { .. } => CUDA::is_available(),
        Provider::TensorRt { .. } => TensorRT::is_available(),
    };
    match there {
        Ok(true) => Ok(()),
        Ok(false) => {
            let name = provider.names().first().copied().unwrap_or_default();
            Err(missing(format!("this ONNX Runtime was built without {name}")))
        }
        Err(e) => Err(missing(e.to_string())),
    }
}

/// Makes a session from an encoded model. To be called on a thread that is bound to the unit's cores:
/// the session's own threads inherit them. With `profile`, what ran where is written to a file of
/// this prefix when profiling ends.
pub(super) fn session(unit: &UnitSettings, model: &[u8], profile: Option<&Path>) -> Result<Session, Failure> {
    let environment = environment().map_err(|e| (Reason::MissingProvider, e))?;
    let common = Session::builder(environment)
        .and_then(|b| Ok(b.with_optimization_level(GraphOptimizationLevel::All)?))
        .and_then(|b| Ok(b.with_intra_threads(unit.threads.max(1))?))
        .and_then(|b| Ok(b.with_inter_threads(1)?))
        // A thread that spins would take its neighbours' time on a shared core.
        .and_then(|b| Ok(b.with_intra_op_spinning(false)?))
        .and_then(|b| match profile {
            Some(path) => Ok(b.with_profiling(path)?),
            None => Ok(b),
        })
        .map_err(|e| (Reason::RuntimeFailed, e.to_string()))?;
    let mut builder = provided(common, &unit.provider)?;
    builder.commit_from_memory(model).map_err(|e| (reason(e.code(), e.message()), e.message().to_owned()))
}

fn provided(builder: SessionBuilder, provider: &Provider) -> Result<SessionBuilder, Failure> {
    let list = dispatch(provider);
    if list.is_empty() {
        return Ok(builder);
    }
    builder.with_execution_providers(list).map_err(|e| (Reason::MissingProvider, e.message().to_owned()))
}

/// The providers to register, first choice first. The CPU is always there as the last.
fn dispatch(provider: &Provider) -> Vec<ExecutionProviderDispatch> {
    match provider {
        Provider::Cpu => Vec::new(),
        Provider::Cuda { device, memory_bytes } => vec![cuda(*device, *memory_bytes)],
        Provider::TensorRt { device, fp16, dla, cache } => {
            let mut trt = TensorRT::default().with_device_id(*device).with_fp16(*fp16);
            if let Some(core) = dla {
                trt = trt.with_dla(true).with_dla_core(*core);
            }
            if let Some(folder) = cache {
                trt = trt.with_engine_cache(true).with_engine_cache_path(folder.display());
            }
            let mut list = vec![trt.build().error_on_failure()];
            if dla.is_none() {
                list.push(cuda(*device, None));
            }
            list
        }
    }
}

fn cuda(device: i32, memory_bytes: Option<usize>) -> ExecutionProviderDispatch {
    // Plans count fp32 as fp32; TF32 would round inputs to ten bits.
    let mut cuda = CUDA::default().with_device_id(device).with_tf32(false);
    if let Some(bytes) = memory_bytes {
        cuda = cuda.with_memory_limit(bytes);
    }
    cuda.build().error_on_failure()
}

/// What kind of failure a message of ONNX Runtime is; it has codes for some only.
fn reason(code: ErrorCode, message: &str) -> Reason {
    let says = |words: &[&str]| words.iter().any(|w| message.contains(w));
    if code == ErrorCode::NotImplemented
        || says(&["Could not find an implementation", "is not a registered function/op"])
    {
        Reason::UnsupportedOperator
    } else if says(&["bad_alloc", "Failed to allocate memory", "out of memory"]) {
        Reason::OutOfMemory
    } else {
        Reason::RuntimeFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_runtime_are_told_apart() {
        let cases = [
            (ErrorCode::NotImplemented, "anything", Reason::UnsupportedOperator),
            (
                ErrorCode::GenericFailure,
                "Fatal error: com.x:Foo(-1) is not a registered function/op",
                Reason::UnsupportedOperator,
            ),
            (ErrorCode::RuntimeException, "std::bad_alloc", Reason::OutOfMemory),
            (ErrorCode::GenericFailure, "CUDA failure 2: out of memory", Reason::OutOfMemory),
            (ErrorCode::InvalidGraph, "This is an invalid model.", Reason::RuntimeFailed),
        ];
        for (code, message, wanted) in cases {
            assert_eq!(reason(code, message), wanted, "{message}");
        }
    }
}

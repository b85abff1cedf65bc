//! What the runtime is told about the board.

use ecomap_instances::ids::UnitId;
use std::path::PathBuf;

/// Requests of one tenant that may be under way, where the configuration does not say.
pub const DEFAULT_UNDER_WAY: usize = 64;

/// Settings of the runtime, checked by the configuration's reader.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Profile that plans must be for; `None` accepts any.
    pub profile: Option<String>,
    /// The model repository.
    pub repository: PathBuf,
    /// Units that plans may use.
    pub units: Vec<UnitSettings>,
    /// Most requests of one tenant under way; more are turned away.
    pub under_way: usize,
    /// Most memory that sessions may take by reckoning, bytes; `None` leaves it to what is free.
    pub memory_bytes: Option<u64>,
    /// Where the kernel tells about memory: `/proc`, or a recorded tree.
    pub proc: PathBuf,
}

/// One compute unit.
#[derive(Debug, Clone)]
pub struct UnitSettings {
    /// Name, as in the hardware profile.
    pub id: UnitId,
    /// What runs its segments.
    pub provider: Provider,
    /// Cores of its worker and, on a CPU, of its sessions' threads; empty leaves it to the kernel.
    pub cores: Vec<u32>,
    /// Threads of a session, the worker's own included.
    pub threads: usize,
    /// What happens when nodes would run elsewhere.
    pub fallback: Fallback,
}

/// What runs a unit's segments in ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda {
        /// Number of the GPU.
        device: i32,
        /// Most memory of the session's arena on the GPU.
        memory_bytes: Option<usize>,
    },
    /// TensorRT, on a GPU or on a deep-learning accelerator.
    TensorRt {
        /// Number of the GPU that it belongs to.
        device: i32,
        /// Whether to compute in FP16.
        fp16: bool,
        /// Number of the accelerator; `None` for the GPU itself, where CUDA takes the nodes that
        /// TensorRT does not.
        dla: Option<u32>,
        /// Where compiled engines are kept.
        cache: Option<PathBuf>,
    },
}

/// What happens when nodes would run elsewhere than on their unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallback {
    /// The plan is refused.
    #[default]
    Refuse,
    /// The plan runs, and the nodes are reported.
    Report,
}

impl Provider {
    /// Names, in ONNX Runtime, of the providers that count as the unit.
    #[must_use]
    pub const fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Cpu => &["CPUExecutionProvider"],
            Self::Cuda { .. } => &["CUDAExecutionProvider"],
            Self::TensorRt { dla: None, .. } => &["TensorrtExecutionProvider", "CUDAExecutionProvider"],
            Self::TensorRt { dla: Some(_), .. } => &["TensorrtExecutionProvider"],
        }
    }

    /// Whether it is a deep-learning accelerator.
    #[must_use]
    pub const fn is_dla(&self) -> bool {
        matches!(self, Self::TensorRt { dla: Some(_), .. })
    }
}

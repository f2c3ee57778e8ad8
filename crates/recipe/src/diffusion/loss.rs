//! How the error of one value is measured. The arithmetic is in the crate `diffusion`.

/// How the error e of a value is measured (`--loss_type`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LossKind {
    /// e².
    L2,
    /// |e|.
    L1,
    /// 2c (√(e² + c²) − c): e² for small errors, 2c·|e| for large ones.
    Huber(HuberThreshold),
    /// 2 (√(e² + c²) − c).
    SmoothL1(HuberThreshold),
}

/// The c of the Huber losses, by timestep: where small errors end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HuberThreshold {
    /// How it changes with the timestep (`--huber_schedule`).
    pub schedule: HuberSchedule,
    /// The value of c, or what it falls to (`--huber_c`).
    pub c: f64,
    /// A factor, which the SNR schedule does not use (`--huber_scale`).
    pub scale: f64,
}

/// How the threshold of the Huber losses changes with the timestep t.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HuberSchedule {
    /// c · scale.
    Constant,
    /// c^(t / 1000) · scale.
    Exponential,
    /// (1 − c) / (1 + σ)² + c, σ = √((1 − a) / a).
    Snr,
}

impl HuberSchedule {
    /// The schedule as `--huber_schedule` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
            Self::Snr => "snr",
        }
    }
}

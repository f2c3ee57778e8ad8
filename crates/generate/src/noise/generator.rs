//! Which program's random numbers a picture is made of, and a generator of them.

use std::fmt;
use std::str::FromStr;

use crate::noise::philox::Philox;
use crate::noise::torch_cpu::TorchCpu;

/// Which random numbers a seed stands for (the web UI's "Random number generator source").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Those of PyTorch on a CPU.
    #[default]
    Cpu,
    /// Those of PyTorch on an NVIDIA card, by which the web UI paints unless told otherwise.
    Nv,
}

/// The name that the web UI writes into pictures.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Nv => "NV",
        })
    }
}

/// A source of random numbers that is not here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are no random numbers of `{0}`; use cpu or nv (gpu is the same as nv)")]
pub struct UnknownSource(String);

/// In any case; the web UI's `GPU` is [`Source::Nv`], which has the numbers of an NVIDIA card.
impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        match text.to_ascii_lowercase().as_str() {
            "cpu" => Ok(Self::Cpu),
            "nv" | "gpu" => Ok(Self::Nv),
            _ => Err(UnknownSource(text.to_owned())),
        }
    }
}

/// A generator of unit normal numbers.
#[derive(Debug, Clone)]
pub enum Generator {
    /// PyTorch's on a CPU.
    Cpu(TorchCpu),
    /// PyTorch's on an NVIDIA card.
    Nv(Philox),
}

impl Generator {
    /// The generator of `seed`.
    pub fn new(source: Source, seed: u64) -> Self {
        match source {
            Source::Cpu => Self::Cpu(TorchCpu::new(seed)),
            Source::Nv => Self::Nv(Philox::new(seed)),
        }
    }

    /// The next tensor of `count` unit normal values.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        match self {
            Self::Cpu(generator) => generator.normal(count),
            Self::Nv(generator) => generator.normal(count),
        }
    }
}

//! Where networks are computed (`--device`).

use serde::{Deserialize, Serialize};

use std::fmt;
use std::str::FromStr;

/// The ways to a device. All but the first two are in programs that were built with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// The first GPU that works, or else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A GPU of any make, by whichever of Vulkan, Metal and DirectX the system has.
    Wgpu,
    /// A GPU of any make, by Vulkan.
    Vulkan,
    /// Apple's.
    Metal,
    /// NVIDIA's.
    Cuda,
    /// AMD's.
    Rocm,
}

impl Kind {
    /// All of them, by the names under which they are typed.
    pub const NAMED: [(&'static str, Self); 7] = [
        ("auto", Self::Auto),
        ("cpu", Self::Cpu),
        ("wgpu", Self::Wgpu),
        ("vulkan", Self::Vulkan),
        ("metal", Self::Metal),
        ("cuda", Self::Cuda),
        ("rocm", Self::Rocm),
    ];

    /// The name as it is typed.
    pub fn name(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(_, kind)| *kind == self);
        named.expect("every kind has a name").0
    }
}

/// A device as it is asked for: `cuda`, or `cuda:1` for the second of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Device {
    /// The way to it.
    pub kind: Kind,
    /// Which of several, from 0; `None` = the first.
    pub index: Option<usize>,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index)),
            None => (text, None),
        };
        let kind = Kind::NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((_, kind)) = kind else { return Err(format!("`{text}` is no device")) };
        let index = match index {
            None => None,
            Some(_) if matches!(kind, Kind::Auto | Kind::Cpu) => return Err(format!("`{name}` takes no number")),
            Some(index) => Some(index.parse().map_err(|_| format!("`{index}` is not the number of a device"))?),
        };
        Ok(Self { kind: *kind, index })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        self.index.map_or(Ok(()), |index| write!(f, ":{index}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "wgpu:0", "vulkan", "metal", "cuda:1", "rocm"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("CUDA:2".parse(), Ok(Device { kind: Kind::Cuda, index: Some(2) }));
        for (text, wrong) in [
            ("gpu", "`gpu` is no device"),
            ("cuda:x", "`x` is not the number of a device"),
            ("cpu:0", "`cpu` takes no number"),
        ] {
            assert_eq!(text.parse::<Device>(), Err(wrong.to_owned()));
        }
    }
}

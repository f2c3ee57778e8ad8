//! The kernels that are compiled: `kernels/ptx/manifest.json`, which `kernels/compile.py` writes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::target::Target;

/// One kernel, compiled with one tile for one target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Compiled {
    /// With its tile, for instance `linear_bf16_128x128x64`.
    pub name: String,
    /// Without, for instance `linear_int8`.
    pub kernel: String,
    /// For which processors.
    pub target: Target,
    /// Its 16-bit numbers: `bf16` or `f16`.
    pub half: String,
    /// Name of the function in the PTX.
    pub entry: String,
    /// Sides of its tile by name.
    pub tile: BTreeMap<String, usize>,
    /// Rows that it is meant for at most; 0: any number.
    pub most_rows: usize,
    /// Threads, in units of 32.
    pub warps: u32,
    /// Bytes of shared memory that have to be allowed for.
    pub shared: u32,
    /// Names and types of its parameters in order.
    pub parameters: Vec<(String, String)>,
    /// Null pointers behind these.
    pub more_pointers: usize,
    /// Its PTX, below `kernels/ptx`.
    pub ptx: String,
}

impl Compiled {
    /// A side of its tile.
    ///
    /// # Panics
    /// If it has none of this name.
    pub fn side(&self, name: &str) -> usize {
        *self.tile.get(name).unwrap_or_else(|| panic!("{} has no side {name}", self.name))
    }

    /// Threads of a block.
    pub fn threads(&self) -> u32 {
        32 * self.warps
    }
}

/// The tiles of a kernel for a target, the largest first, in bf16.
pub(crate) fn tiles(kernel: &str, target: Target) -> impl Iterator<Item = &'static Compiled> {
    all().iter().filter(move |one| one.kernel == kernel && one.target == target && one.half == "bf16")
}

fn all() -> &'static [Compiled] {
    static ALL: OnceLock<Vec<Compiled>> = OnceLock::new();
    ALL.get_or_init(|| {
        let text = include_str!("../../../../../kernels/ptx/manifest.json");
        serde_json::from_str(text).expect("the manifest is that of kernels/compile.py")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_come_largest_first() {
        let sides = |target| -> Vec<usize> { tiles("linear", target).map(|one| one.side("BN")).collect() };
        assert_eq!(sides(Target::Sm80), [128, 64, 64]);
        assert_eq!(sides(Target::Sm90a), [256, 128, 64, 64]);
        assert!(tiles("attention_41", Target::Sm80).next().is_none());
    }

    /// The types by which arguments are checked.
    #[test]
    fn every_parameter_has_a_known_type() {
        assert!(all().len() > 100);
        for one in all() {
            for (name, kind) in &one.parameters {
                let known = ["*bf16", "*fp16", "*fp32", "*i8", "i32", "fp32"].contains(&kind.as_str());
                assert!(known, "{}: {name} is {kind}", one.name);
            }
        }
    }
}

//! For which processors kernels are compiled, and which of them a card runs.

use serde::Deserialize;

/// For which processors kernels are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Target {
    /// Compute capability 8.0 and newer: RTX 30, 40 and 50, A100.
    #[serde(rename = "sm_80")]
    Sm80,
    /// 9.0 alone: H100, H200.
    #[serde(rename = "sm_90a")]
    Sm90a,
}

impl Target {
    /// The target of a card by its compute capability; none for cards before RTX 30, which have no bf16.
    pub fn of_capability(major: u32, minor: u32) -> Option<Self> {
        match major {
            9 if minor == 0 => Some(Self::Sm90a),
            8.. => Some(Self::Sm80),
            _ => None,
        }
    }

    /// Its folder below `kernels/ptx`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sm80 => "sm_80",
            Self::Sm90a => "sm_90a",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_by_capability() {
        assert_eq!(Target::of_capability(7, 5), None);
        assert_eq!(Target::of_capability(8, 6), Some(Target::Sm80));
        assert_eq!(Target::of_capability(9, 0), Some(Target::Sm90a));
        assert_eq!(Target::of_capability(12, 0), Some(Target::Sm80));
    }
}

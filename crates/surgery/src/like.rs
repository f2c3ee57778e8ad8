//! Whose numbers are to come out: ours are right by the formulas; those of other tools, with their defects, only by name.

use std::str::FromStr;

/// A tool whose numbers are reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Like {
    /// Linear in every ratio, no cross terms, nothing clamped.
    #[default]
    Ours,
    /// kohya's sd-scripts: LoRAs with each other by their factors, ratios squared; lists of blocks leave others at 1.
    SdScripts,
    /// LyCORIS' `merge.py`: alpha ÷ rank applied twice to LoHa and LoKr; DoRA and BOFT not linear in the ratio.
    Lycoris,
    /// supermerger: biases in full whatever the ratio; DoRA normalised along inputs.
    Supermerger,
}

impl FromStr for Like {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sd-scripts" | "sd_scripts" => Ok(Self::SdScripts),
            "lycoris" => Ok(Self::Lycoris),
            "supermerger" => Ok(Self::Supermerger),
            _ => Err("write sd-scripts, lycoris or supermerger".into()),
        }
    }
}

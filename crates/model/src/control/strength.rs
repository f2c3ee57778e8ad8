//! How much each output of a ControlNet counts: sd-webui-controlnet's three control modes.

use std::str::FromStr;

/// Which of prompt and image counts more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Both (`Balanced`).
    #[default]
    Balanced,
    /// The prompt (`My prompt is more important`): what is nearer to the picture steers less.
    Prompt,
    /// The image (`ControlNet is more important`): as for the prompt, and the half of guidance without it is not steered.
    Control,
}

/// How much less each output counts than the next deeper one.
const DECAY: f64 = 0.825;
/// Outputs of a net of SD1.x without that of the deepest level.
const DEEPEST: usize = 12;

impl Mode {
    /// Its name in the web UI.
    pub fn label(self) -> &'static str {
        match self {
            Self::Balanced => "Balanced",
            Self::Prompt => "My prompt is more important",
            Self::Control => "ControlNet is more important",
        }
    }

    /// Whether the net steers the half of guidance without the prompt too.
    pub fn steers_negative(self) -> bool {
        self != Self::Control
    }
}

impl FromStr for Mode {
    type Err = String;

    /// Reads `balanced`, `prompt` or `control`, or the web UI's label.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "balanced" => Ok(Self::Balanced),
            "prompt" | "my prompt is more important" => Ok(Self::Prompt),
            "control" | "controlnet is more important" => Ok(Self::Control),
            _ => Err(format!("there is no `{text}`; use balanced, prompt or control")),
        }
    }
}

/// The factor of each of `count` outputs at this weight. Where the prompt or the image counts more, factors fall from the
/// deepest level of 13 outward; a net of SDXL has the first 10 of them, so it steers little (sd-webui-controlnet).
pub fn scales(mode: Mode, weight: f64, count: usize) -> Vec<f32> {
    let mut scales = Vec::new();
    for index in 0..count {
        let share = match mode {
            Mode::Balanced => 1.0,
            Mode::Prompt | Mode::Control => DECAY.powi((DEEPEST as i32 - index as i32).max(0)),
        };
        scales.push((weight * share) as f32);
    }
    scales
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_share_the_weight_out() {
        assert_eq!(scales(Mode::Balanced, 0.7, 3), [0.7; 3]);
        let all = scales(Mode::Prompt, 2.0, 13);
        assert_eq!(all[12], 2.0);
        assert!((all[11] - 1.65).abs() < 1e-6);
        assert!((f64::from(all[0]) - 2.0 * 0.825_f64.powi(12)).abs() < 1e-6);
        assert_eq!(scales(Mode::Control, 2.0, 10), all[..10]);
        assert!(Mode::Prompt.steers_negative() && !Mode::Control.steers_negative());
    }
}

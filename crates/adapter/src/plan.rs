//! Which layers get a LoRA, of which rank, and its first values; as sd-scripts' `networks.lora` chooses them.

use lorabake_recipe::network::RankAlpha;
use rand::Rng;

use crate::{Kind, Role, SiteId, Sites};

/// A LoRA that is to be made for one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedLora {
    /// The layer.
    pub site: SiteId,
    /// Its rank and alpha.
    pub size: RankAlpha,
    /// Shape of the down factor as files have it: [r, in] or [r, in, k, k].
    pub down: Vec<usize>,
    /// Shape of the up factor as files have it: [out, r] or [out, r, 1, 1].
    pub up: Vec<usize>,
}

impl PlannedLora {
    /// A LoRA of this size on one layer.
    pub fn new(sites: &Sites, site: SiteId, size: RankAlpha) -> Self {
        let r = size.rank;
        let (down, up) = match sites.get(site).kind {
            Kind::Linear { inputs, outputs } => (vec![r, inputs], vec![outputs, r]),
            Kind::Conv(s) => (vec![r, s.inputs, s.kernel, s.kernel], vec![s.outputs, r, 1, 1]),
        };
        Self { site, size, down, up }
    }

    /// First values of the down factor: uniform within ±1/√(fan in), which is torch's `kaiming_uniform_(a=√5)`.
    /// The up factor starts at zero, so that the first output is the base's.
    pub fn initial_down(&self, rng: &mut impl Rng) -> Vec<f32> {
        let fan_in: usize = self.down[1..].iter().product();
        let bound = 1.0 / (fan_in as f32).sqrt();
        (0..self.down.iter().product()).map(|_| rng.random_range(-bound..bound)).collect()
    }
}

/// LoRA-LierLa: the linear layers and 1×1 convolutions of the UNet's transformers, the text encoder's attention and MLP;
/// with `conv` also the residual blocks and samplers (C3Lier), whose 3×3 convolutions take `conv` and whose other layers
/// take `linear`.
pub fn plan_lora(sites: &Sites, linear: RankAlpha, conv: Option<RankAlpha>) -> Vec<PlannedLora> {
    let size = |kind: Kind, role: Role| {
        let wide = matches!(kind, Kind::Conv(shape) if shape.kernel > 1);
        match role {
            Role::Transformer | Role::TextAttention | Role::TextMlp => Some(if wide { conv? } else { linear }),
            Role::Residual => conv.map(|conv| if wide { conv } else { linear }),
            Role::Stem => None,
        }
    };
    sites.iter().filter_map(|(id, site)| Some(PlannedLora::new(sites, id, size(site.kind, site.role)?))).collect()
}

//! The adaptable layers of a network, numbered.

use lorabake_ops::{ConvShape, FrozenMatrix};

/// Number of an adaptable layer within its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SiteId(pub(crate) usize);

/// Number of a norm within its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NormId(usize);

/// A norm whose scale and shift nets may change in pictures. None is trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormSite {
    /// Path as diffusers or transformers write it, without `.weight`.
    pub path: String,
    /// Channels.
    pub width: usize,
}

/// What the frozen layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerShape {
    /// y = x·Wᵀ + b.
    Linear {
        /// Width of x.
        inputs: usize,
        /// Width of y.
        outputs: usize,
    },
    /// A 2-D convolution.
    Conv(ConvShape),
}

impl LayerShape {
    /// Width, or channels, of the input.
    pub fn inputs(self) -> usize {
        match self {
            Self::Linear { inputs, .. } => inputs,
            Self::Conv(shape) => shape.inputs,
        }
    }

    /// Width, or channels, of the output.
    pub fn outputs(self) -> usize {
        match self {
            Self::Linear { outputs, .. } => outputs,
            Self::Conv(shape) => shape.outputs,
        }
    }

    /// Side of the kernel; 1 for a linear layer.
    pub fn kernel(self) -> usize {
        match self {
            Self::Linear { .. } => 1,
            Self::Conv(shape) => shape.kernel,
        }
    }
}

/// Which part of a network a layer belongs to; adapters choose their layers by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Inside a transformer of the UNet, its projections included.
    Transformer,
    /// Residual block, downsampler or upsampler of the UNet.
    Residual,
    /// Attention of the text encoder.
    TextAttention,
    /// Feed-forward part of the text encoder.
    TextMlp,
    /// First and last convolution and time embedding of the UNet.
    Stem,
}

/// One adaptable layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Path as diffusers or transformers write it, without `.weight`.
    pub path: String,
    /// What the layer computes.
    pub layer: LayerShape,
    /// Where it stands.
    pub role: Role,
}

/// All adaptable layers of one network, in the order in which they were built.
#[derive(Debug, Clone, Default)]
pub struct Sites {
    sites: Vec<Site>,
    weights: Vec<FrozenMatrix>,
    norms: Vec<NormSite>,
}

impl Sites {
    /// Registers a layer with its frozen weight, [out, in] or [out, in·k·k].
    pub fn add(&mut self, site: Site, weight: FrozenMatrix) -> SiteId {
        self.sites.push(site);
        self.weights.push(weight);
        SiteId(self.sites.len() - 1)
    }

    /// Registers a norm.
    pub fn add_norm(&mut self, path: &str, width: usize) -> NormId {
        self.norms.push(NormSite { path: path.to_string(), width });
        NormId(self.norms.len() - 1)
    }

    /// Every norm with its number.
    pub fn norms(&self) -> impl Iterator<Item = (NormId, &NormSite)> {
        self.norms.iter().enumerate().map(|(index, norm)| (NormId(index), norm))
    }

    /// The frozen weight of the layer of this number.
    pub fn weight(&self, id: SiteId) -> &FrozenMatrix {
        &self.weights[id.0]
    }

    /// Every layer with its number.
    pub fn iter(&self) -> impl Iterator<Item = (SiteId, &Site)> {
        self.sites.iter().enumerate().map(|(index, site)| (SiteId(index), site))
    }

    /// The layer of this number.
    pub fn get(&self, id: SiteId) -> &Site {
        &self.sites[id.0]
    }
}

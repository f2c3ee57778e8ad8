//! Builds layers from a checkpoint and numbers the adaptable ones.

use std::sync::Arc;

use lorabake_adapter::{Kind, Role, Site, Sites};
use lorabake_ops::{ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, GroupNorm, LayerNorm, Source, Storage, Unread};
use lorabake_weights::Loader;

use super::{Conv2d, Linear};

/// Groups of every group norm in Stable Diffusion.
const GROUPS: usize = 32;

/// Reads one network, layer by layer. Problems stay with the loader until its `finish`.
pub struct Builder<'l, 'c> {
    /// Where the tensors come from.
    pub loader: &'l mut Loader<'c>,
    /// The adaptable layers so far.
    pub sites: Sites,
    storage: Storage,
    matrices: &'l mut Vec<Place>,
}

/// A matrix whose numbers are still in the file.
#[derive(Debug, Clone)]
pub struct Place {
    /// Diffusers path of its layer.
    pub path: String,
    /// To read it by.
    pub matrix: Unread,
}

impl<'l, 'c> Builder<'l, 'c> {
    /// A builder that is to hold matrices in `storage` and lists them in `matrices`, since their numbers are not read yet;
    /// norms and biases are always f32, and here at once.
    pub fn new(loader: &'l mut Loader<'c>, storage: Storage, matrices: &'l mut Vec<Place>) -> Self {
        Self { loader, sites: Sites::default(), storage, matrices }
    }

    /// The tensor `{path}.weight` of the file as a matrix of `[rows, columns]`, whatever its shape in the file.
    fn matrix(&mut self, path: &str, shape: &[usize], [rows, columns]: [usize; 2]) -> FrozenMatrix {
        self.matrix_by(path, shape, ([rows, columns], self.storage), |values| values)
    }

    /// The same in `storage`, of values that `change` has brought into order.
    pub fn matrix_by(
        &mut self,
        path: &str,
        shape: &[usize],
        ([rows, columns], storage): ([usize; 2], Storage),
        change: impl Fn(Vec<f32>) -> Vec<f32> + Send + Sync + 'static,
    ) -> FrozenMatrix {
        let later = self.loader.deferred(&format!("{path}.weight"), shape);
        let source: Source = Arc::new(move || later.read().map(&change).map_err(|error| error.to_string()));
        let matrix = FrozenMatrix::later(rows, columns, source, storage);
        self.matrices.push(Place { path: path.to_string(), matrix: matrix.unread() });
        matrix
    }

    /// The extents of a tensor in the file, or zeros if it is absent (the loader reports it later).
    pub fn dims<const N: usize>(&self, name: &str) -> [usize; N] {
        let mut dims = [0; N];
        for (to, from) in dims.iter_mut().zip(self.loader.shape(name).unwrap_or_default()) {
            *to = from;
        }
        dims
    }

    /// Whether the file has this tensor.
    pub fn has(&self, name: &str) -> bool {
        self.loader.shape(name).is_some()
    }

    /// How many of `pattern(0)`, `pattern(1)`, … the file has.
    pub fn count(&self, pattern: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|index| self.has(&pattern(*index))).count()
    }

    /// A linear layer of `[inputs, outputs]` with bias.
    pub fn linear(&mut self, path: &str, extents: [usize; 2], role: Role) -> Linear {
        let bias = self.loader.take(&format!("{path}.bias"), &extents[1..]);
        self.any_linear(path, extents, role, Some(bias))
    }

    /// A linear layer of `[inputs, outputs]` without bias.
    pub fn linear_without_bias(&mut self, path: &str, extents: [usize; 2], role: Role) -> Linear {
        self.any_linear(path, extents, role, None)
    }

    fn any_linear(&mut self, path: &str, [inputs, outputs]: [usize; 2], role: Role, bias: Option<Vec<f32>>) -> Linear {
        let weight = self.matrix(path, &[outputs, inputs], [outputs, inputs]);
        let site = Site { path: path.to_string(), kind: Kind::Linear { inputs, outputs }, role };
        let site = self.sites.add(site, weight.clone());
        Linear { base: FrozenLinear::new(weight, bias), site }
    }

    /// A 1×1 convolution of `[inputs, outputs]` with bias that is computed as a linear layer: [.., in] to [.., out].
    pub fn pointwise_linear(&mut self, path: &str, [inputs, outputs]: [usize; 2], role: Role) -> Linear {
        let weight = self.matrix(path, &[outputs, inputs, 1, 1], [outputs, inputs]);
        let bias = self.loader.take(&format!("{path}.bias"), &[outputs]);
        let kind = Kind::Conv(Self::pointwise(inputs, outputs));
        let site = self.sites.add(Site { path: path.to_string(), kind, role }, weight.clone());
        Linear { base: FrozenLinear::new(weight, Some(bias)), site }
    }

    /// A convolution with bias.
    pub fn conv(&mut self, path: &str, shape: ConvShape, role: Role) -> Conv2d {
        let base = self.frozen_conv(path, shape);
        let site = Site { path: path.to_string(), kind: Kind::Conv(shape), role };
        let site = self.sites.add(site, base.weight().clone());
        Conv2d { base, site }
    }

    /// A convolution with bias that no adapter may bypass (the VAE's).
    pub fn frozen_conv(&mut self, path: &str, shape: ConvShape) -> FrozenConv {
        let extents = [shape.outputs, shape.inputs, shape.kernel, shape.kernel];
        let weight = self.matrix(path, &extents, [shape.outputs, shape.patch()]);
        let bias = self.loader.take(&format!("{path}.bias"), &extents[..1]);
        FrozenConv::new(shape, weight, Some(bias))
    }

    /// A linear layer with bias that no adapter may bypass (the VAE's).
    pub fn frozen_linear(&mut self, path: &str, [inputs, outputs]: [usize; 2]) -> FrozenLinear {
        let weight = self.matrix(path, &[outputs, inputs], [outputs, inputs]);
        FrozenLinear::new(weight, Some(self.loader.take(&format!("{path}.bias"), &[outputs])))
    }

    /// A group norm of 32 groups.
    pub fn group_norm(&mut self, path: &str, channels: usize, epsilon: f32) -> GroupNorm {
        let (gamma, beta) = self.affine(path, channels);
        // A file whose width is no multiple of 32 is refused by the loader; until then one group will do.
        let groups = if channels.is_multiple_of(GROUPS) { GROUPS } else { 1 };
        GroupNorm::new(gamma, beta, groups, epsilon).beside(self.storage)
    }

    /// A layer norm with ε = 1e-5.
    pub fn layer_norm(&mut self, path: &str, width: usize) -> LayerNorm {
        let (gamma, beta) = self.affine(path, width);
        LayerNorm::new(gamma, beta, 1e-5, self.storage)
    }

    fn affine(&mut self, path: &str, width: usize) -> (Vec<f32>, Vec<f32>) {
        (self.loader.take(&format!("{path}.weight"), &[width]), self.loader.take(&format!("{path}.bias"), &[width]))
    }

    /// A 3×3 convolution that keeps the size.
    pub fn same(inputs: usize, outputs: usize) -> ConvShape {
        ConvShape { inputs, outputs, kernel: 3, stride: 1, padding: 1 }
    }

    /// A 1×1 convolution.
    pub fn pointwise(inputs: usize, outputs: usize) -> ConvShape {
        ConvShape { inputs, outputs, kernel: 1, stride: 1, padding: 0 }
    }
}

//! Builds layers from a checkpoint and numbers the adaptable ones.

use std::ops::Range;
use std::sync::Arc;

use lorabake_adapter::{LayerShape, Role, Site, Sites};
use lorabake_ops::{
    self as ops, ConvShape, Edges, FrozenConv, FrozenLinear, FrozenMatrix, LazyMatrix, MatrixReader, WeightDtype,
};
use lorabake_weights::Loader;
use lorabake_weights::loader::DeferredTensor;

use super::{Conv2d, GroupNorm, LayerNorm, Linear};

/// Groups of every group norm in Stable Diffusion.
const GROUPS: usize = 32;

/// Reads one network, layer by layer. Problems stay with the loader until its `finish`.
pub struct Builder<'l, 'c> {
    /// Where the tensors come from.
    pub loader: &'l mut Loader<'c>,
    /// The adaptable layers so far.
    pub sites: Sites,
    dtype: WeightDtype,
    edges: Edges,
    winograd_in_bands: bool,
    matrices: &'l mut Vec<MatrixSource>,
}

/// Where the numbers of a layer's matrix are: in the file until they are read.
#[derive(Debug, Clone)]
pub struct MatrixSource {
    /// Diffusers path of the layer.
    pub path: String,
    /// The matrix, for reading and forgetting its numbers.
    pub matrix: LazyMatrix,
    /// Its numbers in the file, which know whether they were finite.
    pub values: DeferredTensor,
}

impl<'l, 'c> Builder<'l, 'c> {
    /// A builder that is to hold matrices in `dtype` and lists them in `matrices`, since their numbers are not read yet;
    /// norms and biases are always f32, and here at once.
    pub fn new(loader: &'l mut Loader<'c>, dtype: WeightDtype, matrices: &'l mut Vec<MatrixSource>) -> Self {
        let edges = Edges::Zeros;
        Self { loader, sites: Sites::default(), dtype, edges, winograd_in_bands: false, matrices }
    }

    /// The same, whose convolutions have these edges.
    pub fn with_edges(self, edges: Edges) -> Self {
        Self { edges, ..self }
    }

    /// From now on, convolutions that no adapter may bypass have Winograd's products in bands or not, as
    /// [`FrozenConv::with_winograd_in_bands`] tells.
    pub fn set_winograd_in_bands(&mut self, wanted: bool) {
        self.winograd_in_bands = wanted;
    }

    /// The tensor `{path}.weight` of the file as a matrix of `[rows, columns]`, whatever its shape in the file.
    fn matrix(&mut self, path: &str, shape: &[usize], [rows, columns]: [usize; 2]) -> FrozenMatrix {
        let deferred = self.loader.deferred(&format!("{path}.weight"), shape);
        let values = deferred.clone();
        let source: MatrixReader = Arc::new(move || deferred.read().map_err(|error| error.to_string()));
        self.listed(path, FrozenMatrix::from_source(rows, columns, source, self.dtype), values)
    }

    /// The tensor `{path}.weight` of the file as a table of `[rows, columns]` in f32.
    pub fn table(&mut self, path: &str, [rows, columns]: [usize; 2]) -> FrozenMatrix {
        self.table_by(path, [rows, columns], [rows, columns], |values| values)
    }

    /// The tensor `{path}.weight` of the file, of `shape` there, as a table of `[rows, columns]` in f32, whose values
    /// `change` brings into their order.
    pub fn table_by(
        &mut self,
        path: &str,
        shape: [usize; 2],
        [rows, columns]: [usize; 2],
        change: impl Fn(Vec<f32>) -> Vec<f32> + Send + Sync + 'static,
    ) -> FrozenMatrix {
        let deferred = self.loader.deferred(&format!("{path}.weight"), &shape);
        let values = deferred.clone();
        let source: MatrixReader = Arc::new(move || deferred.read().map(&change).map_err(|error| error.to_string()));
        self.listed(path, FrozenMatrix::from_source(rows, columns, source, WeightDtype::F32), values)
    }

    /// `matrix`, listed as the one of the layer at `path` with these `values` in the file.
    fn listed(&mut self, path: &str, matrix: FrozenMatrix, values: DeferredTensor) -> FrozenMatrix {
        self.matrices.push(MatrixSource { path: path.to_string(), matrix: matrix.lazy(), values });
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
        let bias = self.vector(&format!("{path}.bias"), extents[1]);
        self.any_linear(path, extents, role, Some(bias))
    }

    /// A linear layer of `[inputs, outputs]` without bias.
    pub fn linear_without_bias(&mut self, path: &str, extents: [usize; 2], role: Role) -> Linear {
        self.any_linear(path, extents, role, None)
    }

    fn any_linear(&mut self, path: &str, [inputs, outputs]: [usize; 2], role: Role, bias: Option<Vec<f32>>) -> Linear {
        let weight = self.matrix(path, &[outputs, inputs], [outputs, inputs]);
        let site = Site { path: path.to_string(), layer: LayerShape::Linear { inputs, outputs }, role };
        let site = self.sites.add(site, weight.clone());
        Linear { base: FrozenLinear::new(weight, bias), site }
    }

    /// A 1×1 convolution of `[inputs, outputs]` with bias that is computed as a linear layer: [.., in] to [.., out].
    pub fn pointwise_linear(&mut self, path: &str, [inputs, outputs]: [usize; 2], role: Role) -> Linear {
        let weight = self.matrix(path, &[outputs, inputs, 1, 1], [outputs, inputs]);
        let bias = self.vector(&format!("{path}.bias"), outputs);
        let layer = LayerShape::Conv(Self::pointwise(inputs, outputs));
        let site = self.sites.add(Site { path: path.to_string(), layer, role }, weight.clone());
        Linear { base: FrozenLinear::new(weight, Some(bias)), site }
    }

    /// A convolution with bias.
    pub fn conv(&mut self, path: &str, shape: ConvShape, role: Role) -> Conv2d {
        let base = self.frozen_conv(path, shape);
        let site = Site { path: path.to_string(), layer: LayerShape::Conv(shape), role };
        let site = self.sites.add(site, base.weight().clone());
        Conv2d { base, site }
    }

    /// A convolution with bias that no adapter may bypass (the VAE's).
    pub fn frozen_conv(&mut self, path: &str, shape: ConvShape) -> FrozenConv {
        let extents = [shape.outputs, shape.inputs, shape.kernel, shape.kernel];
        let weight = self.matrix(path, &extents, [shape.outputs, shape.patch()]);
        let bias = self.vector(&format!("{path}.bias"), shape.outputs);
        let conv = FrozenConv::new(shape, weight, Some(bias)).with_edges(self.edges);
        if self.winograd_in_bands { conv.with_winograd_in_bands() } else { conv }
    }

    /// A convolution with bias that sees some of the input channels of one in the file, which has `shape`.
    pub fn conv_of_inputs(&mut self, path: &str, shape: ConvShape, inputs: Range<usize>, role: Role) -> Conv2d {
        let bias = self.vector(&format!("{path}.bias"), shape.outputs);
        let (weight, shape) = self.kernels_of_inputs(path, shape, inputs);
        let site = Site { path: path.to_string(), layer: LayerShape::Conv(shape), role };
        let site = self.sites.add(site, weight.clone());
        Conv2d { base: FrozenConv::new(shape, weight, Some(bias)).with_edges(self.edges), site }
    }

    /// A convolution as of [`Self::conv_of_inputs`], without bias, that no adapter may bypass.
    pub fn frozen_conv_of_inputs(&mut self, path: &str, shape: ConvShape, inputs: Range<usize>) -> FrozenConv {
        let (weight, shape) = self.kernels_of_inputs(path, shape, inputs);
        FrozenConv::new(shape, weight, None).with_edges(self.edges)
    }

    /// The kernels for some of the input channels of a convolution of `shape`, and the shape of one with these alone.
    fn kernels_of_inputs(&mut self, path: &str, shape: ConvShape, inputs: Range<usize>) -> (FrozenMatrix, ConvShape) {
        let extents = [shape.outputs, shape.inputs, shape.kernel, shape.kernel];
        let deferred = self.loader.deferred(&format!("{path}.weight"), &extents);
        let values = deferred.clone();
        let taps = shape.kernel * shape.kernel;
        let patch = shape.patch();
        let own = inputs.start * taps..inputs.end * taps;
        let shape = ConvShape { inputs: inputs.len(), ..shape };
        let source: MatrixReader = Arc::new(move || {
            let whole = deferred.read().map_err(|error| error.to_string())?;
            Ok(whole.chunks_exact(patch).flat_map(|kernels| kernels[own.clone()].to_vec()).collect())
        });
        let matrix = FrozenMatrix::from_source(shape.outputs, shape.patch(), source, self.dtype);
        (self.listed(path, matrix, values), shape)
    }

    /// A convolution with this bias, the kernels of each output multiplied by its factor, as a norm behind it would.
    pub fn conv_times(&mut self, path: &str, shape: ConvShape, factors: Vec<f32>, bias: Vec<f32>) -> FrozenConv {
        let extents = [shape.outputs, shape.inputs, shape.kernel, shape.kernel];
        let deferred = self.loader.deferred(&format!("{path}.weight"), &extents);
        let values = deferred.clone();
        let patch = shape.patch();
        let source: MatrixReader = Arc::new(move || {
            let mut whole = deferred.read().map_err(|error| error.to_string())?;
            for (kernels, factor) in whole.chunks_exact_mut(patch).zip(&factors) {
                kernels.iter_mut().for_each(|value| *value *= factor);
            }
            Ok(whole)
        });
        let matrix = FrozenMatrix::from_source(shape.outputs, patch, source, self.dtype);
        FrozenConv::new(shape, self.listed(path, matrix, values), Some(bias))
    }

    /// A linear layer with bias that no adapter may bypass (the VAE's).
    pub fn frozen_linear(&mut self, path: &str, [inputs, outputs]: [usize; 2]) -> FrozenLinear {
        let weight = self.matrix(path, &[outputs, inputs], [outputs, inputs]);
        let bias = self.vector(&format!("{path}.bias"), outputs);
        FrozenLinear::new(weight, Some(bias))
    }

    /// A group norm of 32 groups.
    pub fn group_norm(&mut self, path: &str, channels: usize, epsilon: f32) -> GroupNorm {
        let base = self.frozen_group_norm(path, channels, epsilon);
        GroupNorm { base, site: self.sites.add_norm(path, channels) }
    }

    /// A group norm of 32 groups that no adapter may change (the VAE's).
    pub fn frozen_group_norm(&mut self, path: &str, channels: usize, epsilon: f32) -> ops::GroupNorm {
        let gamma = self.vector(&format!("{path}.weight"), channels);
        let beta = self.vector(&format!("{path}.bias"), channels);
        // A file whose width is no multiple of 32 is refused by the loader; until then one group will do.
        let groups = if channels.is_multiple_of(GROUPS) { GROUPS } else { 1 };
        ops::GroupNorm::new(gamma, beta, groups, epsilon).beside(self.dtype)
    }

    /// A layer norm with ε = 1e-5.
    pub fn layer_norm(&mut self, path: &str, width: usize) -> LayerNorm {
        let gamma = self.vector(&format!("{path}.weight"), width);
        let beta = self.vector(&format!("{path}.bias"), width);
        let base = ops::LayerNorm::new(gamma, beta, 1e-5, self.dtype);
        LayerNorm { base, site: self.sites.add_norm(path, width) }
    }

    /// The tensor `name` of the file, of one dimension.
    pub fn vector(&mut self, name: &str, width: usize) -> Vec<f32> {
        self.loader.take(name, &[width])
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

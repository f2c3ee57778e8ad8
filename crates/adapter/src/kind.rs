//! What a kind of adapter has to say about itself: [`AdapterKind`] for one layer's settings, [`AdapterTensors`] for its
//! tensors in one pass. Each kind implements both in a file of its own; `method.rs` lists the kinds.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use lorabake_ops::{FrozenConv, FrozenLinear};
use lorabake_recipe::network::RankAlpha;
use rand::RngCore;

use crate::dense::{dense_conv, dense_linear, masked};
use crate::draw::AdapterDraw;
use crate::dropout::Dropped;
use crate::parameter::{AdapterTensor, NamedShapes, Parameter};
use crate::site::LayerShape;

/// Values of a file's tensor by its name within the module.
pub(crate) type ReadValues<'r, 'v> = dyn Fn(&str) -> Option<&'v [f32]> + 'r;

/// One layer's settings of a kind of adapter.
pub(crate) trait AdapterKind {
    /// The kind's common name.
    fn name(&self) -> &'static str;

    /// Rank and alpha, if the kind has them.
    fn size(&self) -> Option<RankAlpha>;

    /// What the change is multiplied with.
    fn scale(&self) -> f64 {
        self.size().map_or(1.0, |size| size.alpha / size.rank as f64)
    }

    /// The trained tensors on a layer, in the order in which values are given.
    fn parameters(&self, layer: LayerShape) -> Vec<Parameter>;

    /// The settings that a file's tensors show; `None` if they are of another kind.
    ///
    /// # Errors
    /// If one is missing, or their shapes do not fit together.
    fn of_tensors(layer: LayerShape, alpha: f64, tensors: &NamedShapes<'_>) -> Result<Option<Self>, String>
    where
        Self: Sized;

    /// The tensors of a pass from the values of the parameters, each as [`Parameter::matrix`].
    fn tensors(&self, values: Vec<Tensor<2>>, draw: &AdapterDraw) -> Arc<dyn AdapterTensors>;

    /// Whether weight decomposition (DoRA) can be had with it.
    fn decomposes(&self) -> bool {
        true
    }

    /// What chance decides about the ranks that a pass trains.
    fn draw_start(&self, _rng: &mut dyn RngCore) -> Option<usize> {
        None
    }

    /// Whether a pass trains parameter number `index` of `count`.
    fn trains(&self, _index: usize, _count: usize, _draw: &AdapterDraw) -> bool {
        true
    }

    /// The tensors of a file, without alpha, from the values of the parameters.
    fn to_file(&self, _layer: LayerShape, parameters: &[Parameter], values: &[Vec<f32>]) -> Vec<AdapterTensor> {
        let mut tensors = Vec::with_capacity(parameters.len());
        for (parameter, values) in parameters.iter().zip(values) {
            let leaf = parameter.name.clone();
            tensors.push(AdapterTensor { leaf, shape: parameter.shape.clone(), values: values.clone() });
        }
        tensors
    }

    /// The values of the parameters from those of a file's tensors.
    ///
    /// # Errors
    /// The name of the tensor that is missing or of another size.
    fn of_file(
        &self,
        _layer: LayerShape,
        parameters: &[Parameter],
        read: &ReadValues<'_, '_>,
    ) -> Result<Vec<Vec<f32>>, String> {
        let mut values = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            values.push(read_sized(read, &parameter.name, parameter.count())?.to_vec());
        }
        Ok(values)
    }
}

/// Values of a file's tensor that has to be there with `count` numbers.
///
/// # Errors
/// The name of the tensor if it is missing or of another size.
pub(crate) fn read_sized<'v>(read: &ReadValues<'_, 'v>, name: &str, count: usize) -> Result<&'v [f32], String> {
    match read(name) {
        Some(values) if values.len() == count => Ok(values),
        _ => Err(name.to_string()),
    }
}

/// A product of low rank: ΔW = scale · up · down.
pub(crate) struct LowRank<'a> {
    /// [rank, in].
    pub down: &'a Tensor<2>,
    /// [out, rank].
    pub up: &'a Tensor<2>,
    /// alpha ÷ rank.
    pub scale: f64,
}

/// One pass of a layer through an adapter.
pub(crate) struct LayerPass<'a, Layer, const D: usize> {
    /// The frozen layer.
    pub base: &'a Layer,
    /// Input of the layer: [rows, in], or [B, in, H, W].
    pub x: Tensor<D>,
    /// Output of the frozen layer, for kinds that [read](AdapterTensors::reads_output) it.
    pub y: Option<Tensor<D>>,
    /// Dropout of this pass.
    pub dropped: Option<Dropped>,
}

impl<Layer, const D: usize> LayerPass<'_, Layer, D> {
    /// Mask of the outputs, if any are dropped.
    pub fn output_mask(&mut self, outputs: usize) -> Option<Vec<f32>> {
        self.dropped.as_mut().and_then(|dropped| dropped.outputs(outputs))
    }
}

/// The tensors of one adapter in one pass, and what they do to their layer.
pub(crate) trait AdapterTensors: Debug + Send + Sync {
    /// ΔW, [out, in·k·k]; `None` for a kind that scales the layer itself.
    fn delta(&self) -> Option<Tensor<2>>;

    /// What it adds to the layer's weight as it is, [out, in·k·k]; `None` if it leaves the weight alone.
    fn change_of(&self, _weight: &Tensor<2>) -> Option<Tensor<2>> {
        self.delta()
    }

    /// What it adds to the layer's bias, `[out]`.
    fn bias(&self) -> Option<&[f32]> {
        None
    }

    /// The factors, where ΔW of a linear layer is a product of low rank and no more.
    fn low_rank(&self) -> Option<LowRank<'_>> {
        None
    }

    /// Whether what it adds is made from the output of the frozen layer.
    fn reads_output(&self) -> bool {
        false
    }

    /// What it adds to the output of a linear layer; by ΔW as a whole unless the kind has a shorter way.
    ///
    /// # Shapes
    /// - x: [rows, in]
    /// - output: [rows, out]
    fn linear(&self, mut pass: LayerPass<'_, FrozenLinear, 2>) -> Tensor<2> {
        let mask = pass.output_mask(pass.base.outputs());
        dense_linear(&masked(self.whole_delta(), mask), pass.x)
    }

    /// What it adds to the output of a convolution; by ΔW as a whole unless the kind has a shorter way.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    fn conv(&self, mut pass: LayerPass<'_, FrozenConv, 4>) -> Tensor<4> {
        let shape = pass.base.shape();
        let mask = pass.output_mask(shape.outputs);
        dense_conv(&masked(self.whole_delta(), mask), shape, pass.x)
    }

    /// ΔW, [out, in·k·k].
    ///
    /// # Panics
    /// If the kind has none.
    fn whole_delta(&self) -> Tensor<2> {
        self.delta().expect("a kind that scales the layer itself has ways of its own")
    }
}

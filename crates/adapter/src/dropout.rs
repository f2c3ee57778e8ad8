//! Dropout of adapters: whole modules, ranks, single values ("neurons"). Every mask is a function of seed, pass, module.
//!
//! sd-scripts masks what stands between down and up, per sample. LyCORIS masks rows of ΔW, that is outputs, without
//! scaling the others up, and has no dropout of single values where it forms the whole weight, which is its default.

use burn::tensor::{Tensor, TensorData};
use lorabake_recipe::network::adapter::Dropout;
use lorabake_recipe::network::algo::Dialect;
use lorabake_recipe::seed::Seed;
use rand::Rng;

/// Where the masks of one module in one pass come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Masks {
    /// How much is dropped.
    pub settings: Dropout,
    /// How.
    pub dialect: Dialect,
    /// The run's seed.
    pub seed: Seed,
    /// (epoch, batch, module).
    pub at: [u64; 3],
}

/// What dropout leaves of a module in one pass.
pub(crate) enum ModuleDropout {
    /// Everything: nothing is ever dropped.
    Off,
    /// Some of it.
    Masked(Dropped),
    /// Nothing.
    WholeModule,
}

/// The masks of one module in one pass.
pub(crate) struct Dropped {
    settings: Dropout,
    dialect: Dialect,
    /// Samples of the pass.
    batch: usize,
    rng: Box<dyn rand::RngCore>,
}

impl Masks {
    /// The masks for a pass over `batch` samples.
    pub(crate) fn draw(&self, batch: usize) -> ModuleDropout {
        let mut rng = Box::new(self.seed.stream("network_dropout", &self.at));
        if self.settings.module > 0.0 && rng.random::<f64>() < self.settings.module {
            return ModuleDropout::WholeModule;
        }
        ModuleDropout::Masked(Dropped { settings: self.settings, dialect: self.dialect, batch, rng })
    }
}

impl Dropped {
    /// Masks what stands between down and up of a linear layer.
    ///
    /// # Shapes
    /// - inner and output: [B·T, r]
    pub(crate) fn ranks_of_rows(&mut self, inner: Tensor<2>) -> Tensor<2> {
        if self.dialect == Dialect::Lycoris {
            return inner;
        }
        let [rows, rank] = inner.dims();
        let batch = self.batch;
        let inner = self.neurons(inner);
        let Some(mask) = self.per_sample(batch * rank) else { return inner };
        let mask = Tensor::<3>::from_data(TensorData::new(mask, [batch, 1, rank]), &inner.device());
        (inner.reshape([batch, rows / batch, rank]) * mask).reshape([rows, rank])
    }

    /// Masks what stands between down and up of a convolution.
    ///
    /// # Shapes
    /// - inner and output: [B, r, H, W]
    pub(crate) fn ranks_of_channels(&mut self, inner: Tensor<4>) -> Tensor<4> {
        if self.dialect == Dialect::Lycoris {
            return inner;
        }
        let [batch, rank, ..] = inner.dims();
        let inner = self.neurons(inner);
        let Some(mask) = self.per_sample(batch * rank) else { return inner };
        let mask = Tensor::<4>::from_data(TensorData::new(mask, [batch, rank, 1, 1]), &inner.device());
        inner * mask
    }

    /// LyCORIS' mask of outputs, 0 or 1; `None` if there is no such dropout.
    pub(crate) fn outputs(&mut self, count: usize) -> Option<Vec<f32>> {
        let p = self.settings.rank;
        if self.dialect != Dialect::Lycoris || p == 0.0 {
            return None;
        }
        Some(self.mask(count, p, 1.0))
    }

    fn neurons<const D: usize>(&mut self, inner: Tensor<D>) -> Tensor<D> {
        let p = self.settings.neuron;
        if p == 0.0 {
            return inner;
        }
        let shape = inner.dims();
        let mask = self.mask(shape.iter().product(), p, 1.0 / (1.0 - p));
        let mask = Tensor::<D>::from_data(TensorData::new(mask, shape), &inner.device());
        inner * mask
    }

    fn per_sample(&mut self, count: usize) -> Option<Vec<f32>> {
        let p = self.settings.rank;
        if p == 0.0 {
            return None;
        }
        Some(self.mask(count, p, 1.0 / (1.0 - p)))
    }

    /// 0 with probability `p`, otherwise `kept`.
    fn mask(&mut self, count: usize, p: f64, kept: f64) -> Vec<f32> {
        let mut mask = Vec::with_capacity(count);
        for _ in 0..count {
            let is_dropped = self.rng.random::<f64>() < p;
            mask.push(if is_dropped { 0.0 } else { kept as f32 });
        }
        mask
    }
}

//! Layer norm both ways: plans for the second half of `kernels/norms.py`, and the layer.

use super::array::Buffer;
use super::card::Card;
use super::launch::{Call, Launch};
use super::launcher::{Contents, Launcher};
use super::manifest::{Compiled, tiles};
use super::padding::{NotServed, whole_width};
use crate::layer_norm::LayerNorm;

/// The smallest tile that holds a row.
fn holding(card: &Card, kernel: &str, width: usize) -> Result<&'static Compiled, NotServed> {
    whole_width(width)?;
    let fitting = tiles(kernel, card.target).filter(|one| one.side("BN") >= width);
    fitting.min_by_key(|one| one.side("BN")).ok_or(NotServed::Row(width))
}

/// A frozen layer norm on a card.
#[derive(Debug, Clone)]
pub struct LayerNormLayer<H> {
    gamma: Buffer<H>,
    beta: Buffer<H>,
    epsilon: f32,
}

impl<H: Clone> LayerNormLayer<H> {
    /// Brings a layer norm to a card.
    pub fn of<L: Launcher<Handle = H>>(on: &mut L, norm: &LayerNorm) -> Self {
        let norm = &norm.0;
        let gamma = on.given(Contents::F32(&norm.gamma), &[norm.gamma.len()]);
        let beta = on.given(Contents::F32(&norm.beta), &[norm.beta.len()]);
        Self { gamma, beta, epsilon: norm.epsilon }
    }

    /// Plans y of x [.., n].
    ///
    /// # Errors
    /// If a row is longer than the kernel's, or n no multiple of 16.
    pub fn plan(&self, card: &Card, x: &Buffer<H>, y: &Buffer<H>) -> Result<Launch<H>, NotServed> {
        assert!(x.array == y.array && x.width() == self.gamma.width(), "extents of a layer norm");
        Call::over(holding(card, "layer_norm", x.width())?, [x.rows(), 1, 1])
            .pointer("x", x)
            .pointer("gamma", &self.gamma)
            .pointer("beta", &self.beta)
            .pointer("y", y)
            .int("n", x.width())
            .number("epsilon", self.epsilon)
            .planned()
    }

    /// Plans dx of x and dy [.., n].
    ///
    /// # Errors
    /// If a row is longer than the kernel's, or n no multiple of 16.
    pub fn plan_backward(
        &self,
        card: &Card,
        x: &Buffer<H>,
        dy: &Buffer<H>,
        dx: &Buffer<H>,
    ) -> Result<Launch<H>, NotServed> {
        assert!(x.array == dy.array && x.array == dx.array, "extents of a layer norm");
        Call::over(holding(card, "layer_norm_dx", x.width())?, [x.rows(), 1, 1])
            .pointer("x", x)
            .pointer("dy", dy)
            .pointer("gamma", &self.gamma)
            .pointer("dx", dx)
            .int("n", x.width())
            .number("epsilon", self.epsilon)
            .planned()
    }

    /// The norm of each row of x [.., n].
    ///
    /// # Errors
    /// If a row is longer than the kernel's, or n no multiple of 16.
    pub fn forward<L: Launcher<Handle = H>>(&self, on: &mut L, x: &Buffer<H>) -> Result<Buffer<H>, NotServed> {
        let y = on.empty(x.array.clone());
        let launch = self.plan(&on.card(), x, &y)?;
        on.launch(launch);
        Ok(y)
    }

    /// The gradient to its input x [.., n].
    ///
    /// # Errors
    /// If a row is longer than the kernel's, or n no multiple of 16.
    pub fn backward<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        x: &Buffer<H>,
        dy: &Buffer<H>,
    ) -> Result<Buffer<H>, NotServed> {
        let dx = on.empty(x.array.clone());
        let launch = self.plan_backward(&on.card(), x, dy, &dx)?;
        on.launch(launch);
        Ok(dx)
    }
}

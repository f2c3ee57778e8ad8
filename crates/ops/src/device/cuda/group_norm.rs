//! Group norm with or without SiLU of channels-last images [B, H, W, C], both ways: plans for `kernels/norms.py`, three
//! launches each way, and the layer whole.

use super::array::{Array, Buffer};
use super::card::Card;
use super::launch::{Call, Launch};
use super::launcher::{Contents, Launcher};
use super::padding::{NotServed, counted, whole_width};
use crate::group_norm::{Activation, GroupNorm};

/// A frozen group norm on a card, with what follows it.
#[derive(Debug, Clone)]
pub struct GroupNormLayer<H> {
    gamma: Buffer<H>,
    beta: Buffer<H>,
    groups: usize,
    epsilon: f32,
    activation: Activation,
}

/// Images and their channels as the kernels count them.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    pixels: usize,
    channels: usize,
}

/// What is computed of an image in several parts, one for each slab of its pixels.
#[derive(Debug, Clone)]
pub struct Parts<H> {
    /// [B, slabs, 2, C]
    pub buffer: Buffer<H>,
    /// Pixels of a slab.
    pub split: usize,
}

/// The output, and what the backward pass reads.
#[derive(Debug, Clone)]
pub struct Normalized<H> {
    /// [B, H, W, C]
    pub y: Buffer<H>,
    x: Buffer<H>,
    /// Mean and 1/√(variance + ε) [B, 2, groups].
    stats: Buffer<H>,
}

fn sizes<H>(x: &Buffer<H>) -> Result<Sizes, NotServed> {
    let [batch, height, width, channels] = x.extents();
    whole_width(channels)?;
    counted(height * width * channels)?;
    Ok(Sizes { batch, pixels: height * width, channels })
}

impl<H: Clone> GroupNormLayer<H> {
    /// Brings a norm to a card.
    pub fn of<L: Launcher<Handle = H>>(on: &mut L, norm: &GroupNorm, activation: Activation) -> Self {
        let gamma = on.given(Contents::F32(&norm.gamma), &[norm.gamma.len()]);
        let beta = on.given(Contents::F32(&norm.beta), &[norm.beta.len()]);
        Self { gamma, beta, groups: norm.groups, epsilon: norm.epsilon, activation }
    }

    fn kernel(&self, rest: &str) -> String {
        let silu = if self.activation == Activation::Silu { "_silu" } else { "" };
        format!("group_norm{silu}{rest}")
    }

    /// Room for the parts of an image: enough slabs to keep the card busy, in whole tiles.
    fn parts<L: Launcher<Handle = H>>(&self, on: &mut L, of: Sizes) -> Parts<H> {
        let card = on.card();
        let kernel = card.only("group_norm_slabs");
        let blocks = of.channels.div_ceil(kernel.side("BC")) * of.batch;
        let slabs = card.multiprocessors.div_ceil(blocks);
        let split = of.pixels.div_ceil(slabs).next_multiple_of(kernel.side("BP"));
        let buffer = on.empty(Array::f32(&[of.batch, of.pixels.div_ceil(split), 2, of.channels]));
        Parts { buffer, split }
    }

    /// Plans mean and squares of each channel and slab of x.
    ///
    /// # Errors
    /// If an image is larger than the kernel counts.
    pub fn plan_slabs(&self, card: &Card, x: &Buffer<H>, parts: &Parts<H>) -> Result<Launch<H>, NotServed> {
        let of = sizes(x)?;
        let kernel = card.only("group_norm_slabs");
        let slabs = parts.buffer.extents::<4>()[1];
        Call::over(kernel, [of.channels.div_ceil(kernel.side("BC")), slabs, of.batch])
            .pointer("x", x)
            .pointer("parts", &parts.buffer)
            .int("pixels", of.pixels)
            .int("c", of.channels)
            .int("split", parts.split)
            .planned()
    }

    /// Plans the statistics [B, 2, groups] of an image of so many pixels.
    ///
    /// # Errors
    /// If a group has more channels than the kernel's tile.
    pub fn plan_stats(
        &self,
        card: &Card,
        pixels: usize,
        parts: &Parts<H>,
        stats: &Buffer<H>,
    ) -> Result<Launch<H>, NotServed> {
        let call = self.over_groups(card, "group_norm_stats", pixels, parts)?;
        let call = call.int("split", parts.split).number("epsilon", self.epsilon);
        call.pointer("stats", stats).planned()
    }

    /// Plans the means [B, 2, groups] that the gradient needs.
    ///
    /// # Errors
    /// If a group has more channels than the kernel's tile.
    pub fn plan_means(
        &self,
        card: &Card,
        pixels: usize,
        parts: &Parts<H>,
        means: &Buffer<H>,
    ) -> Result<Launch<H>, NotServed> {
        self.over_groups(card, "group_norm_dx_means", pixels, parts)?.pointer("means", means).planned()
    }

    /// A kernel that adds up parts by group.
    fn over_groups(&self, card: &Card, kernel: &str, pixels: usize, parts: &Parts<H>) -> Result<Call<H>, NotServed> {
        let [batch, slabs, _, channels] = parts.buffer.extents();
        let kernel = card.only(kernel);
        if channels / self.groups > kernel.side("BC") {
            return Err(NotServed::Group(channels / self.groups));
        }
        let call = Call::over(kernel, [self.groups, batch, 1])
            .pointer("parts", &parts.buffer)
            .int("pixels", pixels)
            .int("c", channels)
            .int("slabs", slabs)
            .int("groups", self.groups);
        Ok(call)
    }

    /// Plans y of x by its statistics.
    ///
    /// # Errors
    /// If an image is larger than the kernel counts.
    pub fn plan_output(
        &self,
        card: &Card,
        x: &Buffer<H>,
        stats: &Buffer<H>,
        y: &Buffer<H>,
    ) -> Result<Launch<H>, NotServed> {
        let of = sizes(x)?;
        let kernel = card.only(&self.kernel(""));
        let grid = [of.channels.div_ceil(kernel.side("BC")), of.pixels.div_ceil(kernel.side("BP")), of.batch];
        let call = Call::over(kernel, grid).pointer("x", x).pointer("y", y);
        self.with_affine(call, of, stats).planned()
    }

    /// Plans, for each slab, the sums of the gradient and of it along x.
    ///
    /// # Errors
    /// If an image is larger than the kernel counts.
    pub fn plan_backward_slabs(
        &self,
        card: &Card,
        kept: &Normalized<H>,
        dy: &Buffer<H>,
        parts: &Parts<H>,
    ) -> Result<Launch<H>, NotServed> {
        let of = sizes(dy)?;
        let kernel = card.only(&self.kernel("_dx_slabs"));
        let slabs = parts.buffer.extents::<4>()[1];
        let call = Call::over(kernel, [of.channels.div_ceil(kernel.side("BC")), slabs, of.batch])
            .pointer("x", &kept.x)
            .pointer("dy", dy)
            .pointer("parts", &parts.buffer)
            .int("split", parts.split);
        self.with_affine(call, of, &kept.stats).planned()
    }

    /// Plans dx by the means.
    ///
    /// # Errors
    /// If an image is larger than the kernel counts.
    pub fn plan_gradient(
        &self,
        card: &Card,
        kept: &Normalized<H>,
        dy: &Buffer<H>,
        means: &Buffer<H>,
        dx: &Buffer<H>,
    ) -> Result<Launch<H>, NotServed> {
        let of = sizes(dy)?;
        let kernel = card.only(&self.kernel("_dx"));
        let grid = [of.channels.div_ceil(kernel.side("BC")), of.pixels.div_ceil(kernel.side("BP")), of.batch];
        let call = Call::over(kernel, grid).pointer("x", &kept.x).pointer("dy", dy).pointer("means", means);
        self.with_affine(call.pointer("dx", dx), of, &kept.stats).planned()
    }

    /// What all kernels that look at single numbers are given.
    fn with_affine(&self, call: Call<H>, of: Sizes, stats: &Buffer<H>) -> Call<H> {
        assert_eq!(of.channels, self.gamma.width(), "channels of a group norm");
        let call = call.pointer("stats", stats).pointer("gamma", &self.gamma).pointer("beta", &self.beta);
        call.int("pixels", of.pixels).int("c", of.channels).int("groups", self.groups)
    }

    /// The norm of x [B, H, W, C], then the activation.
    ///
    /// # Errors
    /// If there is no kernel for its channels.
    pub fn forward<L: Launcher<Handle = H>>(&self, on: &mut L, x: &Buffer<H>) -> Result<Normalized<H>, NotServed> {
        let card = on.card();
        let of = sizes(x)?;
        let parts = self.parts(on, of);
        let launch = self.plan_slabs(&card, x, &parts)?;
        on.launch(launch);
        let stats = on.empty(Array::f32(&[of.batch, 2, self.groups]));
        let launch = self.plan_stats(&card, of.pixels, &parts, &stats)?;
        on.launch(launch);
        let y = on.empty(x.array.clone());
        let launch = self.plan_output(&card, x, &stats, &y)?;
        on.launch(launch);
        Ok(Normalized { y, x: x.clone(), stats })
    }

    /// The gradient to its input; dy [B, H, W, C].
    ///
    /// # Errors
    /// If there is no kernel for its channels.
    pub fn backward<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        kept: &Normalized<H>,
        dy: &Buffer<H>,
    ) -> Result<Buffer<H>, NotServed> {
        let card = on.card();
        let of = sizes(dy)?;
        let parts = self.parts(on, of);
        let launch = self.plan_backward_slabs(&card, kept, dy, &parts)?;
        on.launch(launch);
        let means = on.empty(Array::f32(&[of.batch, 2, self.groups]));
        let launch = self.plan_means(&card, of.pixels, &parts, &means)?;
        on.launch(launch);
        let dx = on.empty(dy.array.clone());
        let launch = self.plan_gradient(&card, kept, dy, &means, &dx)?;
        on.launch(launch);
        Ok(dx)
    }
}

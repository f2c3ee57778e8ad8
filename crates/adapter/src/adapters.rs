//! The adapters of one network and their effect on its two adaptable kinds of layer.

use burn::tensor::{Tensor, TensorData};
use lorabake_ops::{FrozenConv, FrozenLinear};

use crate::dora::Dora;
use crate::dropout::{Dropped, Masks};
use crate::ia3::Ia3;
use crate::loha::{Loha, dense_conv, dense_linear};
use crate::lokr::Lokr;
use crate::{Lora, SiteId};

/// One adapter, ready for a forward pass.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(crate) form: Form,
    pub(crate) dora: Option<Dora>,
    pub(crate) masks: Option<Masks>,
    /// What its effect is multiplied with at generation.
    pub(crate) strength: f64,
}

/// What an adapter computes.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a few hundred per pass, made once")]
pub(crate) enum Form {
    Lora(Lora),
    Loha(Loha),
    Lokr(Lokr),
    Ia3(Ia3),
}

impl From<Lora> for Adapter {
    fn from(lora: Lora) -> Self {
        Self { form: Form::Lora(lora), dora: None, masks: None, strength: 1.0 }
    }
}

/// Adapters by layer; a layer may carry several, their effects add up.
#[derive(Debug, Clone, Default)]
pub struct Adapters {
    by_site: Vec<Vec<Adapter>>,
}

impl Adapters {
    /// Adds an adapter to a layer.
    pub fn attach(&mut self, site: SiteId, adapter: impl Into<Adapter>) {
        if self.by_site.len() <= site.0 {
            self.by_site.resize_with(site.0 + 1, Vec::new);
        }
        self.by_site[site.0].push(adapter.into());
    }

    /// The adapters of a layer.
    pub fn at(&self, site: SiteId) -> &[Adapter] {
        self.by_site.get(site.0).map_or(&[], Vec::as_slice)
    }

    /// A linear layer with its adapters; `x` is [.., in].
    pub fn linear<const D: usize>(&self, site: SiteId, base: &FrozenLinear, x: Tensor<D>) -> Tensor<D> {
        if let [only] = self.at(site)
            && let Some(lora) = only.plain_lora()
        {
            return base.forward_low_rank(x, &lora.down, &lora.up, lora.scale * only.strength);
        }
        let y = base.forward(x.clone());
        let plain = self.plain(site, &y);
        self.at(site).iter().fold(y, |y, adapter| match adapter.linear(base, x.clone(), plain.clone()) {
            Some(change) => y + change,
            None => y,
        })
    }

    /// A convolution with its adapters; `x` is [B, in, H, W].
    pub fn conv(&self, site: SiteId, base: &FrozenConv, x: Tensor<4>) -> Tensor<4> {
        let y = base.forward(x.clone());
        let plain = self.plain(site, &y);
        self.at(site).iter().fold(y, |y, adapter| match adapter.conv(base, x.clone(), plain.clone()) {
            Some(change) => y + change,
            None => y,
        })
    }

    /// The layer's own output, if an adapter works on that. A second owner would keep sums from being made in place.
    fn plain<const D: usize>(&self, site: SiteId, y: &Tensor<D>) -> Option<Tensor<D>> {
        self.at(site).iter().any(|adapter| matches!(adapter.form, Form::Ia3(_))).then(|| y.clone())
    }
}

impl Adapter {
    /// ΔW, [out, in·k·k], before any weight decomposition; `None` for (IA)^3.
    pub fn change(&self) -> Option<Tensor<2>> {
        (!matches!(self.form, Form::Ia3(_))).then(|| self.form.delta())
    }

    /// The factors of an adapter that is nothing but a product of low rank in this pass.
    fn plain_lora(&self) -> Option<&Lora> {
        match &self.form {
            Form::Lora(lora) if self.dora.is_none() && self.masks.is_none() => Some(lora),
            _ => None,
        }
    }

    /// What it adds to the layer's output `y`; nothing if chance drops it.
    fn linear<const D: usize>(&self, base: &FrozenLinear, x: Tensor<D>, y: Option<Tensor<D>>) -> Option<Tensor<D>> {
        let mut dropped = self.draw()?;
        let mask = |d: &mut Option<Dropped>| d.as_mut().and_then(|d| d.outputs(base.outputs()));
        let last = |mask: Vec<f32>| {
            let mut shape = [1; D];
            shape[D - 1] = base.outputs();
            Tensor::<D>::from_data(TensorData::new(mask, shape), &x.device())
        };
        let change = match (&self.form, &self.dora) {
            (Form::Ia3(ia3), _) => ia3.linear(base, x, y.expect("kept for IA3")),
            (form, Some(dora)) => {
                let delta = masked(form.delta(), mask(&mut dropped));
                dense_linear(&dora.delta(base.weight(), delta, base.inputs()), x)
            }
            (form, None) => {
                let rows = mask(&mut dropped).map(last);
                let change = match form {
                    Form::Lora(lora) => lora.linear_dropped(x, dropped.as_mut()),
                    Form::Lokr(lokr) => lokr.linear(x),
                    _ => dense_linear(&form.delta(), x),
                };
                match rows {
                    Some(rows) => change * rows,
                    None => change,
                }
            }
        };
        Some(self.at_strength(change))
    }

    /// The same for a convolution.
    fn conv(&self, base: &FrozenConv, x: Tensor<4>, y: Option<Tensor<4>>) -> Option<Tensor<4>> {
        let (mut dropped, shape) = (self.draw()?, base.shape());
        let mask = |d: &mut Option<Dropped>| d.as_mut().and_then(|d| d.outputs(shape.outputs));
        let change = match (&self.form, &self.dora) {
            (Form::Ia3(ia3), _) => ia3.conv(base, x, y.expect("kept for IA3")),
            (form, Some(dora)) => {
                let delta = masked(form.delta(), mask(&mut dropped));
                dense_conv(&dora.delta(base.weight(), delta, shape.inputs), shape, x)
            }
            (Form::Lora(lora), None) => {
                let rows = mask(&mut dropped);
                let change = lora.conv_dropped(shape, x, dropped.as_mut());
                match rows {
                    Some(rows) => {
                        let rows = TensorData::new(rows, [1, shape.outputs, 1, 1]);
                        let rows = Tensor::<4>::from_data(rows, &change.device());
                        change * rows
                    }
                    None => change,
                }
            }
            (form, None) => dense_conv(&masked(form.delta(), mask(&mut dropped)), shape, x),
        };
        Some(self.at_strength(change))
    }

    /// The masks of this pass, if there are any; `None` if they drop the whole adapter.
    fn draw(&self) -> Option<Option<Dropped>> {
        self.masks.as_ref().map_or(Some(None), |masks| masks.draw().map(Some))
    }

    fn at_strength<const D: usize>(&self, change: Tensor<D>) -> Tensor<D> {
        if self.strength == 1.0 { change } else { change.mul_scalar(self.strength) }
    }
}

impl Form {
    /// ΔW, [out, in·k·k].
    fn delta(&self) -> Tensor<2> {
        match self {
            Self::Lora(lora) => lora.delta(),
            Self::Loha(loha) => loha.delta(),
            Self::Lokr(lokr) => lokr.delta(),
            Self::Ia3(_) => unreachable!("IA3 scales the layer itself"),
        }
    }
}

/// Rows of ΔW that the mask keeps.
fn masked(delta: Tensor<2>, mask: Option<Vec<f32>>) -> Tensor<2> {
    let Some(mask) = mask else { return delta };
    let rows = Tensor::<2>::from_data(TensorData::new(mask, [delta.dims()[0], 1]), &delta.device());
    delta * rows
}

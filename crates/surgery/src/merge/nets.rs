//! Nets with each other: ΔW = Σ strengthᵢ·ΔWᵢ for every layer, exactly by factors side by side, or by its best approximation
//! of a rank.
//!
//! Differences that are not products (full, norms, biases) are added. sd-scripts' own sums, in which a ratio is squared and
//! factors of different files meet, are in `peers.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;
use lorabake_weights::lora::NetTensors;
use safetensors::Dtype;

use crate::block::canonical;
use crate::bounded;
use crate::error::{Error, Result};
use crate::kind::Factors;
use crate::lora_file::{self, Form, Ready};
use crate::lowered::{self, BaseModel, Lowered};
use crate::matrix::Matrix;
use crate::model::Model;
use crate::net::{self, NetUse};
use crate::output::Output;
use crate::rank::{self, Offer};
use crate::spectrum::Spectrum;
use crate::writer::Watch;

/// What the result's ranks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranks {
    /// All ranks side by side, which is exact.
    Joined,
    /// At most so many, for matrices and for convolutions over more than one pixel.
    AtMost(usize, usize),
    /// As many as a file of so many bytes holds.
    Bytes(usize),
}

/// What is to be merged.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeNets {
    /// The nets.
    pub nets: Vec<NetUse>,
    /// The result's ranks.
    pub ranks: Ranks,
    /// The model that they were made for, which some kinds need.
    pub base: Option<PathBuf>,
}

/// What came of it, in squares of norms.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Accuracy {
    /// Of the exact sum.
    pub energy: f64,
    /// Of what its approximation lost.
    pub lost: f64,
}

/// The nets that are open, and which of their modules are for one layer.
pub(super) struct OpenNets {
    pub nets: Vec<NetTensors>,
    pub family: Family,
    /// For each layer its modules' names: number of the net and name there.
    pub layers: Vec<Vec<(usize, String)>>,
}

impl OpenNets {
    /// Opens nets for models of one family.
    ///
    /// # Errors
    /// When one cannot be read, or is of another family.
    pub fn open(used: &[NetUse], base: Option<Family>) -> Result<Self> {
        let mut family = base;
        let mut nets = Vec::new();
        for used in used {
            let net = net::open(&used.path, family)?;
            family = family.or(net.family());
            nets.push(net);
        }
        let family = family.unwrap_or(Family::Sd1);
        let mut by_layer: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
        for (index, net) in nets.iter().enumerate() {
            for module in net.modules() {
                by_layer.entry(canonical(module, family)).or_default().push((index, module.to_string()));
            }
        }
        Ok(Self { nets, family, layers: by_layer.into_values().collect() })
    }

    /// The type of the result's numbers.
    pub fn dtype(&self, output: &Output) -> Dtype {
        let mut sources = Vec::new();
        for net in &self.nets {
            for module in net.modules() {
                for leaf in net.leaves(module).filter(|leaf| *leaf != "alpha") {
                    sources.extend(net.dtype(module, leaf));
                }
            }
        }
        lora_file::dtype(output, sources)
    }
}

/// The sum of a layer's changes.
struct Sum {
    module: String,
    weight: Option<Lowered>,
    bias: Option<Vec<f32>>,
    form: Form,
    is_norm: bool,
}

/// Merges.
///
/// # Errors
/// When files cannot be read, are of different families or sizes, or the result cannot be written.
pub fn merge_nets(
    request: &MergeNets,
    output: &Output,
    metadata: BTreeMap<String, String>,
    watch: Watch<'_>,
) -> Result<Accuracy> {
    let mut inputs: Vec<&Path> = request.nets.iter().map(|net| net.path.as_path()).collect();
    inputs.extend(request.base.as_deref());
    output.check(&inputs)?;
    let base = match &request.base {
        Some(path) => Some(BaseModel::of(Model::open(path, None)?)),
        None => None,
    };
    let open = OpenNets::open(&request.nets, base.as_ref().map(|base| base.checkpoint.family()))?;
    let work = Work { request, open: &open, base: base.as_ref(), dtype: open.dtype(output), metadata: &metadata };
    let sizes = work.sizes();
    let ranks = match request.ranks {
        Ranks::Bytes(bytes) => Some(work.ranks_within(bytes, &sizes, watch)?),
        _ => None,
    };
    let made = bounded::each(&sizes, watch, |index| work.ready(index, ranks.as_ref().map(|ranks| ranks[index])))?;
    let mut accuracy = Accuracy::default();
    let mut modules = Vec::new();
    for (ready, own) in made {
        modules.push(ready);
        accuracy.energy += own.energy;
        accuracy.lost += own.lost;
    }
    lora_file::save(output, modules, metadata)?;
    Ok(accuracy)
}

struct Work<'w> {
    request: &'w MergeNets,
    open: &'w OpenNets,
    base: Option<&'w BaseModel>,
    dtype: Dtype,
    metadata: &'w BTreeMap<String, String>,
}

impl Work<'_> {
    /// Numbers that are in memory for each layer.
    fn sizes(&self) -> Vec<usize> {
        let load = |(net, name): &(usize, String)| lowered::load(&self.open.nets[*net], name, self.base);
        self.open.layers.iter().map(|layer| layer.iter().map(load).sum()).collect()
    }

    fn sum(&self, index: usize) -> Result<Sum> {
        let layer = &self.open.layers[index];
        let (first, module) = &layer[0];
        let mut sum: Option<Sum> = None;
        let mut products: Vec<(f64, Factors)> = Vec::new();
        for (net, name) in layer {
            let file = &self.open.nets[*net];
            let strength = self.request.nets[*net].strength.of(name, self.open.family);
            let changes = lowered::changes(file, name, self.base)?;
            let sum = sum.get_or_insert_with(|| Sum {
                module: module.clone(),
                weight: None,
                bias: None,
                form: changes.form,
                is_norm: changes.is_norm,
            });
            let misfit = || {
                let what = format!("{name} is of another size than in {}", self.open.nets[*first].label());
                Error::wrong(file.label(), what, "give nets for one model")
            };
            match changes.weight {
                Some(Lowered::Factors(factors)) => products.push((strength, factors)),
                Some(Lowered::Whole(matrix)) => match &mut sum.weight {
                    Some(Lowered::Whole(whole)) if whole.values.len() == matrix.values.len() => {
                        whole.add(strength, &matrix);
                    }
                    None => sum.weight = Some(Lowered::Whole(matrix.scaled(strength))),
                    Some(_) => return Err(misfit()),
                },
                None => {}
            }
            if let Some(bias) = changes.bias {
                let whole = sum.bias.get_or_insert_with(|| vec![0.0; bias.len()]);
                if whole.len() != bias.len() {
                    return Err(misfit());
                }
                whole.iter_mut().zip(bias).for_each(|(value, more)| *value += strength as f32 * more);
            }
            let sizes = |factors: &Factors| (factors.up.rows, factors.down.columns);
            let differs = products.iter().any(|(_, factors)| sizes(factors) != sizes(&products[0].1));
            if differs || !fits(&sum.weight, products.first()) {
                return Err(misfit());
            }
        }
        let mut sum = sum.expect("a layer has at least one module");
        match (&mut sum.weight, products.is_empty()) {
            (Some(Lowered::Whole(whole)), false) => {
                products.iter().for_each(|(strength, factors)| whole.add(*strength, &factors.whole()));
            }
            (None, false) => sum.weight = Some(Lowered::Factors(joined(products))),
            _ => {}
        }
        Ok(sum)
    }

    fn ready(&self, index: usize, rank: Option<usize>) -> Result<(Ready, Accuracy)> {
        let sum = self.sum(index)?;
        let mut ready = Ready::default();
        let mut accuracy = Accuracy::default();
        let name = &sum.module;
        match &sum.weight {
            None => {}
            Some(Lowered::Whole(matrix)) if sum.is_norm => {
                ready.push(format!("{name}.w_norm"), vec![matrix.values.len()], &matrix.values, self.dtype);
            }
            Some(Lowered::Whole(matrix)) if rank.is_none() && self.request.ranks == Ranks::Joined => {
                ready.push(format!("{name}.diff"), whole_shape(matrix, sum.form), &matrix.values, self.dtype);
            }
            Some(Lowered::Factors(factors)) if self.request.ranks == Ranks::Joined => {
                ready = Ready::low_rank(name, factors, sum.form, self.dtype);
            }
            Some(weight) => {
                let most = match self.request.ranks {
                    Ranks::AtMost(_, conv) if sum.form.is_wide() => conv,
                    Ranks::AtMost(rank, _) => rank,
                    _ => usize::MAX,
                };
                let spectrum = self.spectrum(name, weight)?;
                let rank = rank.unwrap_or(most).min(spectrum.u.columns);
                accuracy = Accuracy { energy: spectrum.energy(), lost: spectrum.lost(rank) };
                if rank > 0 {
                    ready = Ready::low_rank(name, &spectrum.factors(rank), sum.form, self.dtype);
                }
            }
        }
        if let Some(bias) = &sum.bias {
            let leaf = if sum.is_norm { "b_norm" } else { "diff_b" };
            ready.push(format!("{name}.{leaf}"), vec![bias.len()], bias, self.dtype);
        }
        Ok((ready, accuracy))
    }

    fn spectrum(&self, name: &str, weight: &Lowered) -> Result<Spectrum> {
        let spectrum = match weight {
            Lowered::Factors(factors) if factors.rank() <= factors.up.rows.min(factors.down.columns) => {
                Spectrum::of_product(factors)
            }
            Lowered::Factors(factors) => Spectrum::of_matrix(&factors.whole(), usize::MAX),
            Lowered::Whole(matrix) => Spectrum::of_matrix(matrix, usize::MAX),
        };
        spectrum.map_err(|what| Error::wrong(name, what, "give undamaged files"))
    }

    /// Ranks by which the factors take at most so many bytes.
    fn ranks_within(&self, bytes: usize, sizes: &[usize], watch: Watch<'_>) -> Result<Vec<usize>> {
        let width = self.dtype.bitsize() / 8;
        let seen = bounded::each(sizes, &|_, total| watch(0, total), |index| {
            let sum = self.sum(index)?;
            let Some(weight) = sum.weight.filter(|_| !sum.is_norm) else { return Ok((Vec::new(), 0)) };
            let spectrum = self.spectrum(&sum.module, &weight)?;
            Ok((spectrum.s, (spectrum.u.rows + spectrum.v.columns) * width))
        })?;
        let offers: Vec<Offer<'_>> =
            seen.iter().map(|(values, bytes)| Offer { values, bytes: *bytes, most: values.len() }).collect();
        let names = self.open.layers.iter().map(|layer| layer[0].1.as_str());
        let room = lora_file::header_room(names, self.metadata);
        Ok(rank::within(&offers, bytes.saturating_sub(room)))
    }
}

/// All products of a layer as one, as they are where there is only one.
fn joined(mut products: Vec<(f64, Factors)>) -> Factors {
    if products.len() > 1 {
        return Factors::joined(&products);
    }
    let (strength, factors) = products.remove(0);
    Factors { scale: factors.scale * strength, ..factors }
}

/// Whether a difference and a product are for one weight.
fn fits(whole: &Option<Lowered>, product: Option<&(f64, Factors)>) -> bool {
    match (whole, product) {
        (Some(Lowered::Whole(matrix)), Some((_, factors))) => {
            (matrix.rows, matrix.columns) == (factors.up.rows, factors.down.columns)
        }
        _ => true,
    }
}

/// The shape of a difference.
fn whole_shape(matrix: &Matrix, form: Form) -> Vec<usize> {
    match form.kernel {
        Some([height, width]) => vec![matrix.rows, form.inputs, height, width],
        None => vec![matrix.rows, matrix.columns],
    }
}

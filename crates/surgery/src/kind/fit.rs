//! The tensors of a file's module → [`Module`]. With the size of the weight they are checked against it; without, the size
//! is taken from them.

use std::collections::BTreeMap;

use lorabake_weights::lora::ModuleTensor;

use super::oft::Skew;
use super::{Change, Factors, Glora, Half, Magnitudes, Module, Oft, Product, Scale, Side, WeightShape};
use crate::matrix::Matrix;

/// Names of a module's tensors as beginnings.
const KNOWN: [&str; 14] = [
    "lora_",
    "hada_",
    "lokr_",
    "oft_",
    "weight",
    "a1.",
    "a2.",
    "b1.",
    "b2.",
    "diff",
    "on_input",
    "alpha",
    "scale",
    "dora_scale",
];
/// The others.
const ALSO: [&str; 6] = ["rescale", "w_norm", "b_norm", "bias_indices", "bias_values", "bias_size"];
/// Channels of a latent, and what a UNet for inpainting is given beside it.
const LATENT: usize = 4;
const INPAINTING: usize = 5;

/// The tensors of a module by what follows its name.
pub type Tensors = BTreeMap<String, ModuleTensor>;

impl Module {
    /// The module with these tensors, on a weight of size `shape` if it is known.
    ///
    /// # Errors
    /// If they are of no kind that is known, do not fit together or the weight, or are not finite.
    pub fn fit(tensors: &Tensors, shape: Option<WeightShape>) -> Result<Self, String> {
        for (name, tensor) in tensors {
            if !KNOWN.iter().any(|start| name.starts_with(start)) && !ALSO.contains(&name.as_str()) {
                return Err(format!("unknown tensor {name}"));
            }
            if tensor.values.iter().any(|value| !value.is_finite()) {
                return Err(format!("{name} holds values that are infinite or not a number"));
            }
        }
        let whole = Reader { tensors, shape }.module();
        match shape {
            // A net for four channels on a UNet for inpainting.
            Some(own) if whole.is_err() && own.inputs == LATENT + INPAINTING => {
                Reader { tensors, shape: Some(WeightShape { inputs: LATENT, ..own }) }.module()
            }
            _ => whole,
        }
    }
}

struct Reader<'t> {
    tensors: &'t Tensors,
    shape: Option<WeightShape>,
}

impl Reader<'_> {
    fn module(&self) -> Result<Module, String> {
        let has = |name: &str| self.tensors.contains_key(name);
        let starts = |start: &str| self.tensors.keys().any(|name| name.starts_with(start));
        let found = if has("oft_blocks") || has("oft_diag") {
            Some(self.oft()?)
        } else if has("a1.weight") {
            Some(self.glora()?)
        } else if has("diff") || has("w_norm") {
            Some(self.full(if has("diff") { "diff" } else { "w_norm" })?)
        } else if has("weight") {
            Some(self.ia3()?)
        } else if starts("lora_") {
            Some(self.lora()?)
        } else if starts("hada_") {
            Some(self.loha()?)
        } else if starts("lokr_") {
            Some(self.lokr()?)
        } else {
            None
        };
        let found = self.with_sparse(found)?;
        let bias = self.tensors.get("diff_b").or_else(|| self.tensors.get("b_norm"));
        let bias = bias.map(|tensor| tensor.values.clone());
        if found.is_none() && bias.is_none() {
            return Err("it has nothing that changes the layer".into());
        }
        let unknown = WeightShape { outputs: bias.as_ref().map_or(0, Vec::len), inputs: 0, taps: 1 };
        let (shape, change) = match found {
            Some((shape, change)) => (shape, Some(change)),
            None => (self.shape.unwrap_or(unknown), None),
        };
        if let Some(bias) = &bias
            && bias.len() != shape.outputs
        {
            return Err(format!("its bias has {} values, the layer has {} outputs", bias.len(), shape.outputs));
        }
        let dora = if change.is_some() { self.magnitudes(shape)? } else { None };
        Ok(Module { change, dora, bias, shape })
    }

    fn need(&self, name: &str) -> Result<&ModuleTensor, String> {
        self.tensors.get(name).ok_or_else(|| format!("{name} is missing"))
    }

    fn matrix(&self, name: &str) -> Result<Matrix, String> {
        Ok(Matrix::of(self.need(name)?))
    }

    /// The one number of a tensor, if it is there.
    fn scalar(&self, name: &str) -> Result<Option<f64>, String> {
        match self.tensors.get(name).map(|tensor| tensor.values.as_slice()) {
            None => Ok(None),
            Some([value]) => Ok(Some(f64::from(*value))),
            Some(_) => Err(format!("{name} is not one number")),
        }
    }

    /// alpha ÷ rank; 1 without an alpha.
    fn scale(&self, rank: usize) -> Result<Scale, String> {
        if let Some(scale) = self.scalar("scale")? {
            return Ok(scale);
        }
        Ok(self.scalar("alpha")?.map_or(1.0, |alpha| alpha / rank.max(1) as f64))
    }

    /// The size of the weight: `own` is that of the tensors, whose kernel may be unknown.
    fn sized(&self, own: WeightShape) -> Result<WeightShape, String> {
        let Some(shape) = self.shape else { return Ok(own) };
        if (shape.outputs, shape.columns()) == (own.outputs, own.columns()) {
            return Ok(shape);
        }
        Err(format!(
            "it is for a weight of {} × {} numbers, this one has {} × {}",
            own.outputs,
            own.columns(),
            shape.outputs,
            shape.columns()
        ))
    }

    /// A product of `left` and `right`; with `core` in the Tucker form, in which `turned` says that left is transposed.
    fn product(&self, names: [&str; 3], turned: bool) -> Result<(Product, usize), String> {
        let [left, right, core] = names;
        let mut product = Product { left: self.matrix(left)?, right: self.matrix(right)? };
        let mut taps = 1;
        if self.tensors.contains_key(core) {
            let middle = self.matrix(core)?;
            if turned {
                product.left = product.left.transposed();
            }
            let rank = product.right.rows;
            if rank == 0 || !middle.columns.is_multiple_of(rank) || middle.rows != product.left.columns {
                return Err(format!("{core} does not fit {left} and {right}"));
            }
            taps = middle.columns / rank;
            product = product.through(&middle);
        } else if let [_, _, kernel @ ..] = &self.need(right)?.shape[..] {
            taps = kernel.iter().product();
        }
        if product.left.columns != product.right.rows || product.right.rows == 0 || product.right.columns == 0 {
            return Err(format!("{left} and {right} do not fit together"));
        }
        Ok((product, taps.max(1)))
    }

    /// LyCORIS' sparse differences are added to the product before it is scaled.
    fn with_sparse(&self, found: Option<(WeightShape, Change)>) -> Result<Option<(WeightShape, Change)>, String> {
        let (Some((shape, Change::LowRank(factors))), Some(values)) = (&found, self.tensors.get("bias_values")) else {
            return Ok(found);
        };
        let indices = self.need("bias_indices")?;
        let sizes: Vec<usize> = self.need("bias_size")?.values.iter().map(|size| *size as usize).collect();
        let count = values.values.len();
        let misfit = || "its sparse difference does not fit its factors".to_string();
        if sizes.iter().product::<usize>() != shape.outputs * shape.columns()
            || indices.values.len() != sizes.len() * count
        {
            return Err(misfit());
        }
        let mut whole = factors.up.times(&factors.down);
        for (index, value) in values.values.iter().enumerate() {
            let mut place = 0;
            for (axis, size) in sizes.iter().enumerate() {
                let at = indices.values[axis * count + index];
                if at < 0.0 || at as usize >= *size {
                    return Err(misfit());
                }
                place = place * size + at as usize;
            }
            whole.values[place] += value;
        }
        Ok(Some((*shape, Change::Full(whole.scaled(factors.scale)))))
    }

    fn lora(&self) -> Result<(WeightShape, Change), String> {
        let (product, taps) = self.product(["lora_up.weight", "lora_down.weight", "lora_mid.weight"], false)?;
        let Product { left: up, right: down } = product;
        let own = WeightShape { outputs: up.rows, inputs: down.columns / taps, taps };
        let scale = self.scale(self.need("lora_down.weight")?.shape[0])?;
        Ok((self.sized(own)?, Change::LowRank(Factors { up, down, scale })))
    }

    fn loha(&self) -> Result<(WeightShape, Change), String> {
        let (first, taps) = self.product(["hada_w1_a", "hada_w1_b", "hada_t1"], true)?;
        let (second, _) = self.product(["hada_w2_a", "hada_w2_b", "hada_t2"], true)?;
        let outputs = first.left.rows;
        let columns = first.right.columns;
        if (outputs, columns) != (second.left.rows, second.right.columns) {
            return Err("its two products are of different sizes".into());
        }
        let scale = self.scale(self.need("hada_w1_b")?.shape[0])?;
        let own = WeightShape { outputs, inputs: columns / taps, taps };
        Ok((self.sized(own)?, Change::Hadamard(first, second, scale)))
    }

    fn lokr(&self) -> Result<(WeightShape, Change), String> {
        let mut taps = 1;
        let mut rank = None;
        let mut halves = Vec::with_capacity(2);
        for [whole, left, right, core] in
            [["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_t1"], ["lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"]]
        {
            if let Some(tensor) = self.tensors.get(whole) {
                if let [_, _, kernel @ ..] = &tensor.shape[..] {
                    taps = taps.max(kernel.iter().product());
                }
                halves.push(Half::Whole(Matrix::of(tensor)));
                continue;
            }
            let (product, kernel) = self.product([left, right, core], true)?;
            // That of the second factor counts if both have one.
            rank = Some(self.need(right)?.shape[0]);
            taps = taps.max(kernel);
            halves.push(Half::Product(product));
        }
        let [first, second] = <[Half; 2]>::try_from(halves).map_err(|_| "it has not two factors".to_string())?;
        let scale = match rank {
            Some(rank) => self.scale(rank)?,
            None => self.scalar("scale")?.unwrap_or(1.0),
        };
        let sides = |half: &Half| match half {
            Half::Whole(matrix) => (matrix.rows, matrix.columns),
            Half::Product(product) => (product.left.rows, product.right.columns),
        };
        let small = sides(&first);
        let large = sides(&second);
        let columns = small.1 * large.1;
        let own = WeightShape { outputs: small.0 * large.0, inputs: columns / taps, taps };
        Ok((self.sized(own)?, Change::Kronecker(first, second, scale)))
    }

    fn full(&self, name: &str) -> Result<(WeightShape, Change), String> {
        let tensor = self.need(name)?;
        let own = match WeightShape::of(&tensor.shape) {
            Some(shape) => shape,
            // The weight of a norm, one number for each channel.
            None => WeightShape { outputs: tensor.values.len(), inputs: 1, taps: 1 },
        };
        let matrix = Matrix::new(own.outputs, own.columns(), tensor.values.clone());
        Ok((self.sized(own)?, Change::Full(matrix)))
    }

    /// The size of a weight, for kinds that do not tell it.
    fn known_shape(&self, kind: &str) -> Result<WeightShape, String> {
        self.shape.ok_or_else(|| format!("a {kind} does not tell the size of its weight, which is needed"))
    }

    fn ia3(&self) -> Result<(WeightShape, Change), String> {
        let shape = self.known_shape("IA3")?;
        let on_input = self.scalar("on_input")?.ok_or("on_input is missing")? != 0.0;
        let weight = self.need("weight")?.values.clone();
        let (side, count) = if on_input { (Side::Inputs, shape.inputs) } else { (Side::Outputs, shape.outputs) };
        if weight.len() != count {
            return Err(format!("weight has {} values, this layer needs {count}", weight.len()));
        }
        Ok((shape, Change::Ia3(weight, side)))
    }

    /// LyCORIS' present form, in which the first of each pair has a row for each input or output, or its first one, which
    /// the web UI reads, in which the second has: that one is not scaled.
    fn glora(&self) -> Result<(WeightShape, Change), String> {
        let shape = self.known_shape("GLoRA")?;
        let [a1, a2, b1, b2] = ["a1.weight", "a2.weight", "b1.weight", "b2.weight"].map(|name| self.matrix(name));
        let (a1, a2, b1, b2) = (a1?, a2?, b1?, b2?);
        let fits = |glora: &Glora| {
            let of_a = (glora.a1.rows, glora.a2.columns) == (shape.inputs, shape.inputs);
            let of_b = (glora.b1.rows, glora.b2.columns) == (shape.outputs, shape.columns());
            of_a && of_b && glora.a1.columns == glora.a2.rows && glora.b1.columns == glora.b2.rows
        };
        let scale = self.scale(a2.rows)?;
        let present = Glora { a1, a2, b1, b2, scale };
        if fits(&present) {
            return Ok((shape, Change::Glora(present)));
        }
        let Glora { a1, a2, b1, b2, .. } = present;
        let first = Glora { a1: a2, a2: a1, b1: b2, b2: b1, scale: self.scalar("scale")?.unwrap_or(1.0) };
        if fits(&first) {
            return Ok((shape, Change::Glora(first)));
        }
        Err("a1, a2, b1 and b2 do not fit this layer".into())
    }

    fn oft(&self) -> Result<(WeightShape, Change), String> {
        let shape = self.known_shape("OFT")?;
        let outputs = shape.outputs;
        let is_old = !self.tensors.contains_key("oft_blocks");
        let blocks = self.need(if is_old { "oft_diag" } else { "oft_blocks" })?;
        let misfit = || format!("its blocks have shape {:?}, which does not fit {outputs} outputs", blocks.shape);
        let (stages, side) = match blocks.shape[..] {
            [count, side, other] if side == other && count * side == outputs => (None, side),
            [stages, count, side, other] if side == other && count * side == outputs => (Some(stages), side),
            _ => return Err(misfit()),
        };
        if let Some(stages) = stages {
            let reach = u32::try_from(stages).ok().and_then(|stages| side.checked_shl(stages.saturating_sub(1)));
            if side % 2 != 0 || stages == 0 || !reach.is_some_and(|reach| outputs.is_multiple_of(reach)) {
                return Err(misfit());
            }
        }
        let rotations = if is_old {
            blocks.values.clone()
        } else {
            let alpha = self.scalar("alpha")?.unwrap_or(0.0);
            let constraint = if alpha == 0.0 { None } else { Some(alpha * outputs as f64) };
            Skew { blocks: &blocks.values, side, constraint }.rotations()?
        };
        let stages_of = rotations.chunks_exact((outputs * side).max(1)).map(<[f32]>::to_vec).collect();
        let rescale = self.tensors.get("rescale").map(|tensor| tensor.values.clone());
        if rescale.as_ref().is_some_and(|rescale| rescale.len() != outputs) {
            return Err("rescale is of another size".into());
        }
        let scale = self.scalar("scale")?.unwrap_or(1.0);
        Ok((shape, Change::Oft(Oft { stages: stages_of, side, is_butterfly: stages.is_some(), rescale, scale })))
    }

    /// The magnitudes of DoRA: one for each input, as the web UI knows them, or for each output, as newer LyCORIS.
    fn magnitudes(&self, shape: WeightShape) -> Result<Option<Magnitudes>, String> {
        let Some(tensor) = self.tensors.get("dora_scale") else { return Ok(None) };
        let count = tensor.values.len();
        let side = match tensor.shape {
            _ if count == shape.inputs && tensor.shape.first() == Some(&1) => Side::Inputs,
            _ if count == shape.outputs => Side::Outputs,
            _ => return Err(format!("dora_scale has shape {:?}, which does not fit this layer", tensor.shape)),
        };
        Ok(Some(Magnitudes { values: tensor.values.clone(), side }))
    }
}

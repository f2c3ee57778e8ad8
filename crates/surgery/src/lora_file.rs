//! A LoRA's file in the making: its modules as they go to disk, with alphas of their own.

use std::collections::BTreeMap;

use lorabake_recipe::output::SavePrecision;
use lorabake_weights::lora::{self, ModuleTensor, RawTensor};
use lorabake_weights::stream;
use safetensors::Dtype;

use crate::error::{Error, Result};
use crate::kind::Factors;
use crate::output::{Output, dtype_of};

/// How the factors of a layer are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Inputs or input channels.
    pub inputs: usize,
    /// Sides of the kernel; `None` for a matrix.
    pub kernel: Option<[usize; 2]>,
}

impl Form {
    /// That of a weight or of a factor on the input's side with this shape.
    pub fn of(shape: &[usize]) -> Self {
        match shape {
            [_, inputs, height, width] => Self { inputs: *inputs, kernel: Some([*height, *width]) },
            [_, inputs, ..] => Self { inputs: *inputs, kernel: None },
            _ => Self { inputs: 1, kernel: None },
        }
    }

    /// That of a layer of which no shape is known: a square kernel if it has one.
    pub fn guessed(inputs: usize, taps: usize) -> Self {
        let side = taps.isqrt();
        Self { inputs, kernel: if taps > 1 { Some([side, taps / side.max(1)]) } else { None } }
    }

    /// Whether it is a convolution over more than one pixel.
    pub fn is_wide(&self) -> bool {
        self.kernel.is_some_and(|[height, width]| height * width > 1)
    }
}

/// A module that is ready.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    /// Its tensors, with their whole names.
    pub tensors: Vec<RawTensor>,
}

impl Ready {
    /// The factors of a layer called `module`, whose scale becomes alpha.
    pub fn low_rank(module: &str, factors: &Factors, form: Form, dtype: Dtype) -> Self {
        let rank = factors.rank();
        let outputs = factors.up.rows;
        let (down, up) = match form.kernel {
            Some([height, width]) => (vec![rank, form.inputs, height, width], vec![outputs, rank, 1, 1]),
            None => (vec![rank, factors.down.columns], vec![outputs, rank]),
        };
        let alpha = (factors.scale * rank as f64) as f32;
        let mut ready = Self::default();
        ready.push(format!("{module}.alpha"), Vec::new(), &[alpha], dtype);
        ready.push(format!("{module}.lora_down.weight"), down, &factors.down.values, dtype);
        ready.push(format!("{module}.lora_up.weight"), up, &factors.up.values, dtype);
        ready
    }

    /// Adds a tensor of floats.
    pub fn push(&mut self, name: String, shape: Vec<usize>, values: &[f32], dtype: Dtype) {
        self.tensors.push(RawTensor { name, dtype, shape, bytes: stream::encode(values, dtype).bytes });
    }

    /// Adds a tensor as it was read; flags stay whole numbers.
    pub fn push_same(&mut self, name: String, tensor: &ModuleTensor, dtype: Dtype) {
        if name.ends_with(".on_input") {
            let bytes = tensor.values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect();
            self.tensors.push(RawTensor { name, dtype: Dtype::I64, shape: tensor.shape.clone(), bytes });
        } else {
            self.push(name, tensor.shape.clone(), &tensor.values, dtype);
        }
    }
}

/// Bytes that the header of a LoRA takes at most: three tensors a module, the metadata, the hashes.
pub fn header_room<'n>(modules: impl Iterator<Item = &'n str>, metadata: &BTreeMap<String, String>) -> usize {
    // Type, shape, place and punctuation of an entry, with the end of its name.
    const ENTRY: usize = 120;
    const REST: usize = 512;
    let entries: usize = modules.map(|name| 3 * (name.len() + ENTRY)).sum();
    // Quotation marks in texts take two bytes.
    let texts: usize = metadata.iter().map(|(key, value)| key.len() + 2 * value.len() + 8).sum();
    entries + texts + REST
}

/// The type of a new LoRA's numbers: what was asked for, else f32 if a source has f32, else f16.
pub fn dtype(output: &Output, sources: impl IntoIterator<Item = Dtype>) -> Dtype {
    if let Some(precision) = output.precision {
        return dtype_of(precision);
    }
    let mut found: Option<Dtype> = None;
    for source in sources {
        found = match (found, source) {
            (_, Dtype::F32 | Dtype::F64) => return Dtype::F32,
            (None, Dtype::BF16) => Some(Dtype::BF16),
            (Some(Dtype::BF16), Dtype::BF16) => Some(Dtype::BF16),
            (found, Dtype::I64 | Dtype::BOOL | Dtype::U8 | Dtype::I8) => found,
            _ => Some(Dtype::F16),
        };
    }
    found.unwrap_or(dtype_of(SavePrecision::F16))
}

/// Writes a LoRA of these modules.
///
/// # Errors
/// When a value is not finite in the file, or the file cannot be written.
pub fn save(output: &Output, modules: Vec<Ready>, metadata: BTreeMap<String, String>) -> Result<()> {
    let mut tensors = Vec::new();
    for module in modules {
        tensors.extend(module.tensors);
    }
    for tensor in &tensors {
        if !is_finite(tensor) {
            let what = format!("values of {} are infinite or not a number in {:?}", tensor.name, tensor.dtype);
            let remedy = "give --save_precision float, or look for the damaged input with `lorabake inspect`";
            return Err(Error::wrong(output.path.display(), what, remedy));
        }
    }
    lora::save_raw(&output.path, tensors, metadata)?;
    Ok(())
}

/// Whether no number of a tensor is infinite or not a number: the exponent of those has all its bits.
fn is_finite(tensor: &RawTensor) -> bool {
    let (width, exponent) = match tensor.dtype {
        Dtype::F16 => (2, 0x7c00),
        Dtype::BF16 => (2, 0x7f80),
        Dtype::F32 => (4, 0x7f80_0000_u32),
        _ => return true,
    };
    tensor.bytes.chunks_exact(width).all(|bytes| {
        let mut wide = [0; 4];
        wide[..width].copy_from_slice(bytes);
        u32::from_le_bytes(wide) & exponent != exponent
    })
}

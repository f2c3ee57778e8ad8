//! The tensors that an adapter is made of: those that are trained, and those that a file has.

use lorabake_recipe::network::adapter::Side;

/// One trained tensor of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name within the module; as in files, except for DyLoRA's blocks.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// First values.
    pub start: Start,
}

/// First values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// All zero.
    Zero,
    /// Uniform within ±1/√(fan in), which is torch's `kaiming_uniform_(a=√5)`.
    Kaiming,
    /// Normal with this standard deviation.
    Normal(f64),
    /// The norms of the frozen weight's rows or columns.
    Norms(Side),
}

impl Parameter {
    pub(crate) fn new(name: impl Into<String>, shape: &[usize], start: Start) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), start }
    }

    /// Rows and columns as the adapters use it: the first axis against all others; one row if there is one axis.
    pub fn matrix(&self) -> [usize; 2] {
        match self.shape.as_slice() {
            [count] => [1, *count],
            shape => [shape[0], shape[1..].iter().product()],
        }
    }

    /// Numbers in it.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A tensor of a module as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterTensor {
    /// Name within the module, such as `lora_down.weight`.
    pub leaf: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Shapes of a module's tensors by name, and the flag that IA3 stores as a tensor.
#[derive(Debug, Clone, Default)]
pub struct NamedShapes<'t> {
    /// Name and shape.
    pub shapes: Vec<(&'t str, &'t [usize])>,
    /// IA3's `on_input`.
    pub on_input: Option<bool>,
}

impl<'t> NamedShapes<'t> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    pub(crate) fn shape(&self, name: &str) -> Option<&'t [usize]> {
        self.shapes.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape)
    }

    /// The shape of a tensor that has to be there, with at least one number.
    pub(crate) fn need(&self, name: &str) -> Result<&'t [usize], String> {
        let shape = self.shape(name).ok_or_else(|| format!("{name} is missing"))?;
        if shape.is_empty() || shape.contains(&0) {
            return Err(format!("{name} has shape {shape:?}"));
        }
        Ok(shape)
    }
}

//! What a kernel's pointer points at: an array of numbers that lie side by side, row-major.

/// The numbers of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// bf16 on a card; f16 where Triton's interpreter runs the kernels.
    Half,
    /// f32: statistics, scales, biases, gradients of a LoRA.
    F32,
    /// Whole numbers of 8 bits, which have their scales in another array.
    Eighth,
}

impl Kind {
    /// The type of a pointer to it, as the manifest writes it.
    pub fn pointer(self) -> &'static str {
        match self {
            Kind::Half => "*bf16",
            Kind::F32 => "*fp32",
            Kind::Eighth => "*i8",
        }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Kind::Half => 2,
            Kind::F32 => 4,
            Kind::Eighth => 1,
        }
    }
}

/// Numbers and extents of an array. There are no strides: the last index is side by side, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// Type of its numbers.
    pub kind: Kind,
    /// Its extents, the outermost first.
    pub shape: Vec<usize>,
}

impl Array {
    /// An array of 16-bit numbers.
    pub fn half(shape: &[usize]) -> Self {
        Self { kind: Kind::Half, shape: shape.to_vec() }
    }

    /// An array of f32 numbers.
    pub fn f32(shape: &[usize]) -> Self {
        Self { kind: Kind::F32, shape: shape.to_vec() }
    }

    /// How many numbers it has.
    pub fn numbers(&self) -> usize {
        self.shape.iter().product()
    }
}

/// An array on a device. `H` is what the launcher knows it by.
#[derive(Debug, Clone)]
pub struct Buffer<H> {
    /// What is in it.
    pub array: Array,
    /// Where it is.
    pub handle: H,
}

impl<H> Buffer<H> {
    /// The extents of an array of `N` dimensions.
    ///
    /// # Panics
    /// If it has another number of them.
    pub fn extents<const N: usize>(&self) -> [usize; N] {
        let shape = &self.array.shape;
        shape.as_slice().try_into().unwrap_or_else(|_| panic!("an array {shape:?} where one of {N} dimensions belongs"))
    }

    /// The last extent.
    pub fn width(&self) -> usize {
        *self.array.shape.last().expect("an array of at least one dimension")
    }

    /// How many rows of its width it has.
    pub fn rows(&self) -> usize {
        self.array.shape[..self.array.shape.len() - 1].iter().product()
    }

    /// The same numbers with other extents.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn seen_as(&self, shape: &[usize]) -> Self
    where
        H: Clone,
    {
        let array = Array { kind: self.array.kind, shape: shape.to_vec() };
        assert_eq!(array.numbers(), self.array.numbers(), "an array {:?} seen as {shape:?}", self.array.shape);
        Self { array, handle: self.handle.clone() }
    }

    /// Its extents with another width.
    pub fn with_width(&self, width: usize) -> Vec<usize> {
        let mut shape = self.array.shape.clone();
        *shape.last_mut().expect("an array of at least one dimension") = width;
        shape
    }
}

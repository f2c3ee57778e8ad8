//! One launch of a kernel as plain data.

use super::array::Buffer;
use super::card::Chosen;
use super::manifest::Compiled;
use super::padding::{self, NotServed};

/// A kernel, its grid and its arguments. Threads and bytes of shared memory are the kernel's.
#[derive(Debug, Clone)]
pub struct Launch<H> {
    /// What is launched.
    pub kernel: &'static Compiled,
    /// Blocks in each direction.
    pub grid: [u32; 3],
    /// What it is given, in the order of its parameters; [`Compiled::more_pointers`] null pointers come behind.
    pub arguments: Vec<Bound<H>>,
}

/// An argument and the parameter that it is for.
#[derive(Debug, Clone)]
pub struct Bound<H> {
    /// Name of the parameter.
    pub name: &'static str,
    /// What it is given.
    pub argument: Argument<H>,
}

/// What a parameter is given.
#[derive(Debug, Clone)]
pub enum Argument<H> {
    /// The address of an array.
    Pointer(Buffer<H>),
    /// A count.
    Int(i32),
    /// A factor or the like.
    Number(f32),
}

impl<H> Argument<H> {
    /// Its type as the manifest writes it.
    fn kind(&self) -> &'static str {
        match self {
            Argument::Pointer(buffer) => buffer.array.kind.pointer(),
            Argument::Int(_) => "i32",
            Argument::Number(_) => "fp32",
        }
    }
}

/// A launch whose arguments are still named, in any order.
pub(crate) struct Call<H> {
    chosen: Chosen,
    bound: Vec<Bound<H>>,
    problem: Option<NotServed>,
}

impl<H: Clone> Call<H> {
    /// Of a kernel with its grid.
    pub fn of(chosen: Chosen) -> Self {
        Self { chosen, bound: Vec::new(), problem: None }
    }

    /// Of a kernel that has one tile, or whose tile is known.
    pub fn over(kernel: &'static Compiled, grid: [usize; 3]) -> Self {
        Self::of(Chosen { kernel, grid })
    }

    /// Gives a pointer.
    pub fn pointer(self, name: &'static str, buffer: &Buffer<H>) -> Self {
        self.bind(name, Argument::Pointer(buffer.clone()))
    }

    /// Gives a count.
    pub fn int(mut self, name: &'static str, count: usize) -> Self {
        match padding::counted(count) {
            Ok(count) => self.bind(name, Argument::Int(count as i32)),
            Err(problem) => {
                self.problem = Some(problem);
                self
            }
        }
    }

    /// Gives a factor.
    pub fn number(self, name: &'static str, number: f32) -> Self {
        self.bind(name, Argument::Number(number))
    }

    fn bind(mut self, name: &'static str, argument: Argument<H>) -> Self {
        self.bound.push(Bound { name, argument });
        self
    }

    /// The launch, its arguments in the kernel's order.
    ///
    /// # Errors
    /// If an extent is more than the kernel counts.
    ///
    /// # Panics
    /// If the arguments are not those of the kernel, by name and type.
    pub fn planned(self) -> Result<Launch<H>, NotServed> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let kernel = self.chosen.kernel;
        let grid = padding::grid(self.chosen.grid)?;
        assert_eq!(self.bound.len(), kernel.parameters.len(), "arguments of {}", kernel.name);
        let mut arguments = Vec::new();
        for (name, kind) in &kernel.parameters {
            let mut named = self.bound.iter().filter(|one| one.name == name);
            let one = named.next().unwrap_or_else(|| panic!("{}: nothing is given for {name}", kernel.name));
            assert!(named.next().is_none(), "{}: {name} is given twice", kernel.name);
            assert_eq!(one.argument.kind(), kind, "{}: {name}", kernel.name);
            arguments.push(one.clone());
        }
        Ok(Launch { kernel, grid, arguments })
    }
}

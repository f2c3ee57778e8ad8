//! A launcher that computes nothing: it writes down what it is asked, for Triton's interpreter to run in the same order
//! (`kernels/replay.py`).
//!
//! A recording is two pieces: a list in JSON, and the numbers that came from main memory. 16-bit numbers are f16 there,
//! since the interpreter multiplies bf16 wrongly; kernels and tiles are those of bf16, whose source is the same.

use half::f16;
use serde::Serialize;

use super::array::{Array, Buffer, Kind};
use super::card::Card;
use super::launch::{Argument, Launch};
use super::launcher::{Contents, Launcher};

/// What was asked of a launcher.
#[derive(Debug)]
pub struct Recording {
    card: Card,
    buffers: Vec<Recorded>,
    steps: Vec<Step>,
    numbers: Vec<u8>,
}

/// An array of a recording.
#[derive(Debug, Serialize)]
struct Recorded {
    /// `half`, `f32` or `i8`.
    kind: &'static str,
    shape: Vec<usize>,
    /// Where its numbers begin; none if they are still to be written.
    at: Option<usize>,
}

/// Something to be done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Launch { kernel: &'static str, target: &'static str, grid: [u32; 3], arguments: Vec<(&'static str, Value)> },
    Resized { from: Seen, to: usize },
    Sum { terms: [Seen; 2], to: usize },
}

/// An array with the extents that it is seen with.
#[derive(Debug, Serialize)]
struct Seen {
    buffer: usize,
    shape: Vec<usize>,
}

impl Seen {
    fn of(x: &Buffer<usize>) -> Self {
        Self { buffer: x.handle, shape: x.array.shape.clone() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    Buffer(usize),
    Int(i32),
    Number(f32),
}

/// The list of a recording.
#[derive(Serialize)]
struct List<'a> {
    buffers: &'a [Recorded],
    steps: &'a [Step],
    results: Vec<usize>,
}

impl Recording {
    /// An empty one, planned for a card.
    pub fn new(card: Card) -> Self {
        Self { card, buffers: Vec::new(), steps: Vec::new(), numbers: Vec::new() }
    }

    /// How many kernels are launched.
    pub fn launches(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Launch { .. })).count()
    }

    /// The list, in JSON; `results` are what the interpreter gives back.
    pub fn list(&self, results: &[Buffer<usize>]) -> String {
        let results = results.iter().map(|buffer| buffer.handle).collect();
        let list = List { buffers: &self.buffers, steps: &self.steps, results };
        serde_json::to_string(&list).expect("numbers and names")
    }

    /// What the arrays that came from main memory hold.
    pub fn numbers(&self) -> &[u8] {
        &self.numbers
    }

    fn added(&mut self, array: Array, at: Option<usize>) -> Buffer<usize> {
        let kind = match array.kind {
            Kind::Half => "half",
            Kind::F32 => "f32",
            Kind::Eighth => "i8",
        };
        self.buffers.push(Recorded { kind, shape: array.shape.clone(), at });
        Buffer { array, handle: self.buffers.len() - 1 }
    }
}

impl Launcher for Recording {
    type Handle = usize;

    fn card(&self) -> Card {
        self.card
    }

    fn given(&mut self, contents: Contents<'_>, shape: &[usize]) -> Buffer<usize> {
        let at = self.numbers.len();
        let kind = match contents {
            Contents::Half(values) => {
                self.numbers.extend(values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()));
                Kind::Half
            }
            Contents::F32(values) => {
                self.numbers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                Kind::F32
            }
            Contents::Eighths(codes) => {
                self.numbers.extend(codes.iter().flat_map(|code| code.to_le_bytes()));
                Kind::Eighth
            }
        };
        let array = Array { kind, shape: shape.to_vec() };
        assert_eq!(self.numbers.len() - at, array.numbers() * kind.bytes(), "numbers of an array {shape:?}");
        self.added(array, Some(at))
    }

    fn empty(&mut self, array: Array) -> Buffer<usize> {
        self.added(array, None)
    }

    fn launch(&mut self, launch: Launch<usize>) {
        let mut arguments = Vec::new();
        for bound in launch.arguments {
            let value = match bound.argument {
                Argument::Pointer(buffer) => Value::Buffer(buffer.handle),
                Argument::Int(count) => Value::Int(count),
                Argument::Number(number) => Value::Number(number),
            };
            arguments.push((bound.name, value));
        }
        let target = launch.kernel.target.name();
        self.steps.push(Step::Launch { kernel: &launch.kernel.name, target, grid: launch.grid, arguments });
    }

    fn resized(&mut self, x: &Buffer<usize>, shape: &[usize]) -> Buffer<usize> {
        let to = self.empty(Array { kind: x.array.kind, shape: shape.to_vec() });
        self.steps.push(Step::Resized { from: Seen::of(x), to: to.handle });
        to
    }

    fn sum(&mut self, x: &Buffer<usize>, added: &Buffer<usize>) -> Buffer<usize> {
        let to = self.empty(x.array.clone());
        self.steps.push(Step::Sum { terms: [Seen::of(x), Seen::of(added)], to: to.handle });
        to
    }
}

//! A model that is written tensor by tensor: several are computed at a time, by all processors, while those before them are
//! written in their order.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use lorabake_weights::disk_room;
use lorabake_weights::stream::{self, Encoded, PlannedTensor};
use rayon::prelude::*;
use safetensors::Dtype;

use crate::error::{Error, Result};
use crate::metadata::Metadata;

/// Numbers that are in the works at a time. What is computed takes a few times their 4 bytes.
const AT_A_TIME: u64 = 16 << 20;

/// Is told how many numbers of how many are done; false ends the work.
pub type Watch<'w> = &'w (dyn Fn(u64, u64) -> bool + Sync);

/// Where the numbers of a result come from.
pub trait Source: Sync {
    /// The numbers of a tensor of the result.
    ///
    /// # Errors
    /// When they cannot be read or computed.
    fn content(&self, tensor: &PlannedTensor) -> Result<Content<'_>>;

    /// Says that a tensor has been written.
    fn done(&self, tensor: &PlannedTensor);
}

/// A file that is to be written.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The file.
    pub path: &'p Path,
    /// Its tensors, in its order.
    pub tensors: &'p [PlannedTensor],
    /// Its text metadata.
    pub metadata: Metadata,
}

/// What a tensor of a result is.
#[derive(Debug)]
pub enum Content<'m> {
    /// Bytes as they are in the planned type.
    Bytes(Cow<'m, [u8]>),
    /// Numbers, which are rounded once.
    Values(Vec<f32>),
}

/// Tensors that are ready to be written.
type Batch<'m> = Result<Vec<Cow<'m, [u8]>>>;

impl Plan<'_> {
    /// Writes the file.
    ///
    /// # Errors
    /// Those of `source`; when numbers do not fit the type in which they are written; when the user ends it; when the disk has
    /// no room for it, or it cannot be written. No partial file is left.
    pub fn write(self, source: &dyn Source, watch: Watch<'_>) -> Result<()> {
        let Self { path, tensors, metadata } = self;
        has_room(path, tensors)?;
        let entries = metadata.entries().clone();
        let maker = Maker { path, tensors, source };
        thread::scope(|scope| {
            // Without room for a batch: one is written while the next is computed, and no more.
            let (send, receive) = sync_channel(0);
            scope.spawn(move || maker.make(watch, &send));
            let mut ready = Ready { receive, batch: VecDeque::new() };
            let next = |index: usize| {
                if index > 0 {
                    source.done(&tensors[index - 1]);
                }
                ready.next()
            };
            stream::write(path, tensors, &entries, next, || metadata.finished())
        })
    }
}

/// # Errors
/// When the disk has less room than a file takes. Where it says that there is none at all it may not know.
fn has_room(path: &Path, tensors: &[PlannedTensor]) -> Result<()> {
    let needed: u64 = tensors.iter().map(|tensor| tensor.bytes() as u64).sum();
    let free = disk_room::free(path.parent().unwrap_or(Path::new(".")));
    match free {
        Some(free) if free > 0 && free < needed => {
            let gb = |bytes: u64| bytes as f64 / 1e9;
            let what = format!("it takes {:.2} GB, and the disk has {:.2} GB free", gb(needed), gb(free));
            Err(Error::wrong(path.display(), what, "make room there, or write it elsewhere"))
        }
        _ => Ok(()),
    }
}

/// What comes from the thread that computes.
struct Ready<'m> {
    receive: Receiver<Batch<'m>>,
    batch: VecDeque<Cow<'m, [u8]>>,
}

impl<'m> Ready<'m> {
    fn next(&mut self) -> Result<Cow<'m, [u8]>> {
        loop {
            if let Some(bytes) = self.batch.pop_front() {
                return Ok(bytes);
            }
            self.batch = self.receive.recv().expect("there is a batch for each tensor, or an error")?.into();
        }
    }
}

/// Computes tensors.
struct Maker<'m> {
    path: &'m Path,
    tensors: &'m [PlannedTensor],
    source: &'m dyn Source,
}

impl<'m> Maker<'m> {
    /// Sends batch after batch, up to the last or the first error.
    fn make(&self, watch: Watch<'_>, send: &SyncSender<Batch<'m>>) {
        let total: u64 = self.tensors.iter().map(numbers).sum();
        let mut done = 0;
        let mut start = 0;
        while start < self.tensors.len() {
            let batch = self.batch(start);
            start = batch.end;
            done += self.tensors[batch.clone()].iter().map(numbers).sum::<u64>();
            let made = match watch(done, total) {
                true => batch.into_par_iter().map(|index| self.encoded(&self.tensors[index])).collect(),
                false => Err(Error::Stopped),
            };
            let failed = made.is_err();
            // Whoever writes may have met an error.
            if send.send(made).is_err() || failed {
                return;
            }
        }
    }

    /// The tensors from `first` on that are computed together.
    fn batch(&self, first: usize) -> Range<usize> {
        let mut end = first + 1;
        let mut sum = numbers(&self.tensors[first]);
        while end < self.tensors.len() && sum + numbers(&self.tensors[end]) <= AT_A_TIME {
            sum += numbers(&self.tensors[end]);
            end += 1;
        }
        first..end
    }

    fn encoded(&self, tensor: &PlannedTensor) -> Result<Cow<'m, [u8]>> {
        let values = match self.source.content(tensor)? {
            Content::Bytes(bytes) => return Ok(bytes),
            Content::Values(values) => values,
        };
        let Encoded { bytes, not_finite } = stream::encode(&values, tensor.dtype);
        if not_finite == 0 {
            return Ok(Cow::Owned(bytes));
        }
        let before = values.iter().filter(|value| !value.is_finite()).count();
        let shown = self.path.display();
        if not_finite > before {
            let lost = not_finite - before;
            let what = format!("{lost} of its values in {} are too large for {:?}", tensor.name, tensor.dtype);
            return Err(Error::wrong(shown, what, "give --save_precision bf16 or float"));
        }
        let what = format!("{not_finite} values of {} would be infinite or not a number", tensor.name);
        Err(Error::wrong(shown, what, "look for the damaged input with `lorabake inspect --check`"))
    }
}

fn numbers(tensor: &PlannedTensor) -> u64 {
    tensor.shape.iter().map(|extent| *extent as u64).product()
}

/// The type in which numbers are written that were of a type which is not written: 8-bit floats are read only.
pub fn written(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::F8_E4M3 | Dtype::F8_E5M2 => Dtype::F16,
        other => other,
    }
}

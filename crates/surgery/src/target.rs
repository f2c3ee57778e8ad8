//! Where a model goes that is made: into one file, or into a folder that diffusers opens.

use std::path::Path;

use crate::convert::folder::{self, Whole, Written, write_folder};
use crate::convert::settings::Vocabulary;
use crate::error::Result;
use crate::output::Output;
use crate::writer::{Plan, Watch};

/// Where a model goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'o> {
    /// The file or folder.
    pub output: &'o Output,
    /// How it lies there.
    pub layout: Layout<'o>,
}

/// How a model lies on a disk.
#[derive(Debug, Clone, Copy)]
pub enum Layout<'o> {
    /// One file of safetensors.
    File,
    /// A folder that diffusers opens, with CLIP's vocabulary.
    Folder(Vocabulary<'o>),
}

impl<'o> From<&'o Output> for Target<'o> {
    fn from(output: &'o Output) -> Self {
        Self { output, layout: Layout::File }
    }
}

impl Target<'_> {
    /// Checks that nothing is lost by writing there.
    ///
    /// # Errors
    /// When it is one of `inputs`, or there already.
    pub fn check(&self, inputs: &[&Path]) -> Result<()> {
        match self.layout {
            Layout::File => self.output.check(inputs),
            Layout::Folder(_) => folder::check(self.output),
        }
    }

    /// Writes a model; its tensors stand in a file's order.
    ///
    /// # Errors
    /// When its numbers cannot be read or computed, or the result cannot be written.
    pub fn write(&self, whole: Whole<'_>, watch: Watch<'_>) -> Result<Written> {
        match self.layout {
            Layout::Folder(vocabulary) => write_folder(whole, self.output, vocabulary, watch),
            Layout::File => {
                let written = Written { tensors: whole.tensors.len(), notes: Vec::new() };
                let plan = Plan { path: &self.output.path, tensors: &whole.tensors, metadata: whole.metadata };
                plan.write(whole.source, watch)?;
                Ok(written)
            }
        }
    }
}

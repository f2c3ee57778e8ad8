//! What the user wants: kohya flags and TOML in, one validated [`Recipe`] out.
//!
//! Words become options in `parse/`, then each section of the recipe checks its own: what may be typed (`Raw...`) and
//! what it means once validated stand in the section's file or folder. This crate knows no tensors and reads no file but
//! the recipe itself and its `--dataset_config`.

mod parse;

pub mod model;

pub mod data;

pub mod network;

pub mod diffusion;

pub mod optim;

pub mod train;

pub mod output;

pub mod judging;

mod recipe;
mod report;
mod resolve;

pub mod guide;
pub mod seed;
pub mod text_file;

pub use parse::checkpoint_facts::CheckpointFacts;
pub use parse::command::command;
pub use parse::command_line::{ParseError, Parsed, parse_toml, parse_train};
pub use parse::home::with_home;
pub use parse::import;
pub use parse::import_check::problems_of_import;
pub use parse::stages::parse_run;
pub use recipe::{RawRecipe, Recipe, WriteError};
pub use report::{Note, Problem, Problems, count};
pub use resolve::Resolved;

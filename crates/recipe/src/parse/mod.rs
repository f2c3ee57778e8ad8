//! From words and files to options, and from options to a recipe.
//!
//! `command_line.rs` is where to begin. The layers that it puts over each other come from `preset.rs`, `import/`,
//! `file.rs` and `argv.rs`; `intake.rs` takes their options one by one. How files are written is the concern of
//! `text.rs`, `table.rs` and `words.rs`.

pub(crate) mod argv;
pub(crate) mod checkpoint_facts;
pub(crate) mod command;
pub(crate) mod command_line;
pub(crate) mod dataset_config;
pub(crate) mod file;
mod file_values;
pub(crate) mod foreign_names;
pub(crate) mod home;
pub mod import;
pub(crate) mod import_check;
pub(crate) mod intake;
pub(crate) mod names;
pub(crate) mod other_options;
pub(crate) mod pairs;
pub(crate) mod preset;
pub(crate) mod stages;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod words;

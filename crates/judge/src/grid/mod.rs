//! Grids: pictures that differ in two or three things, beside each other.
//!
//! ```text
//! axis           what may vary, by name; values, epochs, blocks: what is typed → labels and changes
//! planning       what is asked for → Plan: all pictures with their settings; sharing: in the order that saves work
//! change         one value acts on a picture's settings; lora_tag: on the tag of its LoRA
//! checks         axes that vary nothing, LoRAs of another family; meaning: which cells are the same, or share something
//! folder         where a grid goes or goes on, and which files there are ours; record: grid.json, which says it
//! paint          Plan → files, one a picture, each as soon as it is done; trial: how long that will take
//! sheets         files → a sheet with labels for each z; page: → one HTML file
//! ```
//!
//! Source of ranges, of search and replace and of the sheet: the web UI's X/Y/Z plot, see [`lorabake_generate::xyz`],
//! whose strict rules hold. Not here: words for a screen.

mod axis;
mod blocks;
mod change;
mod checks;
mod epochs;
mod folder;
mod lora_tag;
mod meaning;
mod page;
mod paint;
mod plan;
mod planning;
mod record;
mod sharing;
mod sheets;
mod trial;
mod values;

pub use axis::{AXES, Acts, Axis, Put, REFUSED, Refused};
pub use change::{Change, ModelChoice};
pub use folder::Folder;
pub use page::{Page, write_page};
pub use paint::{Failure, Moment, Painted, paint};
pub use plan::{Asked, Model, OPTIONS, Picture, Plan, Shares};
pub(crate) use record::stamp;
pub use record::{Seeds, identity};
pub use sharing::Work;
pub use sheets::{Sheets, write_sheets};
pub use trial::{Trial, try_out};
pub use values::{AxisValue, AxisValues};

//! What is wrong with a data set before anything is trained: images, the set as a whole, captions and tags.
//!
//! ```text
//! place::data_of      folders that a user names        → data section, as training would have it
//! gather::gather      data section                     → Set: images, captions, Measures (kept by `cache`)
//! look::look             Set, detectors of the caller   → the same with what they see
//! report::report      Set, one check after the other   → Report with Findings, plain data
//! fix::plan           Set, Report, names of fixes      → Edits for the journal of `tags`
//! ```
//!
//! Rules and thresholds are those of the guide and of the tools that docs/check.md names; there is what was measured of
//! them. Nothing is printed, and nothing in a data set is changed but by
//! the journal.

pub mod about;
pub mod activation;
pub mod cache;
pub mod caption;
pub mod checks;
pub mod finding;
pub mod fix;
pub mod found;
pub mod gather;
pub mod look;
pub mod measure;
pub mod place;
pub mod report;
pub mod settings;
pub mod sight;
pub mod tables;
pub mod tag_counts;
pub mod tag_list;

pub use about::About;
pub use checks::abouts;
pub use finding::{Finding, Level, Scope};
pub use gather::{Measuring, Progress, RunFacts, Set, Wanted, gather};
pub use look::look;
pub use place::{PlaceError, data_of};
pub use report::{Report, report};
pub use settings::Settings;
pub use sight::{Detector, TagScores};
pub use tag_list::TagList;

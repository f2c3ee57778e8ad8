//! Tests of captions, of what is done to them, and of the journal.
//!
//! | file | about |
//! |---|---|
//! | `captions` | what a caption file is, and what stays of it |
//! | `changes` | what is done to tags |
//! | `filters` | which images a filter takes, what counts tell |
//! | `images` | edits of images, and their originals |
//! | `safety` | the twelve safety rules |
//! | `journal` | actions, undo, redo, kills at every moment |

mod captions;
mod changes;
mod filters;
mod images;
mod journal;
mod safety;
mod set;

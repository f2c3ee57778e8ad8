//! Tests of captions and of the journal.
//!
//! | file | about |
//! |---|---|
//! | `captions` | what a caption file is, and what stays of it |
//! | `journal` | actions, undo, redo, kills at every moment |

mod captions;
mod journal;
mod set;

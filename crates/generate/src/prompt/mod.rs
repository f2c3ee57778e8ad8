//! What a prompt says, read as the AUTOMATIC1111 web UI reads it; one rule a file, in the order in which they act.
//!
//! [`styles`] are merged in, [`comments`] cut, [`tags`] taken out, the rest is split into the parts of a
//! [`composition`], each part becomes the texts of its [`schedule`], and each text the weighted pieces of its
//! [`emphasis`]. Tokens are not made here. What the tags ask for: [`networks`], [`block_weights`]. All of it in words:
//! [`explain`].

pub mod block_weights;
mod by_name;
mod characters;
pub mod comments;
pub mod composition;
pub mod emphasis;
pub mod explain;
mod find_network;
mod length;
mod literal;
mod nearest;
pub mod networks;
pub mod schedule;
mod strengths;
pub mod styles;
pub mod tags;
mod text_file;

pub use find_network::{Search, find_lora, find_network, find_within};
pub(crate) use length::MOST_BYTES;
pub use length::check_length;
pub use literal::{literal, literal_but_weights};
pub use nearest::meant;
pub use strengths::with_strengths;

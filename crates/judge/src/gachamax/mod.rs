//! GACHAMAX: from one image of a character to many, in rounds of a quick LoRA, pictures of it, and a choice among them.
//!
//! Source: the guides' last resort for rare characters. All that is known of a run lies in its folder as plain files:
//!
//! ```text
//! gachamax.json            what each round did, and how far the last one is
//! gachamax.toml            the recipe of the quick LoRAs, to be changed at will
//! originals/               the images that it began with, with captions
//! round-1/images/10_NAME/  what the round's LoRA was trained on
//! round-1/NAME-round1.safetensors
//! round-1/candidates/      its pictures; what is left there after the choice goes into the next round
//! round-1/rejected/        what was not chosen
//! ```
//!
//! Each step is done again where it was cut off. Not here: training, painting (`cli` has both done), words for a screen.

mod choice;
mod files;
mod prompts;
mod rank;
mod state;
mod workshop;

pub use files::Taken;
pub use prompts::{VIEWS, caption_of, variations};
pub use rank::{Best, best, likeness};
pub use state::{Candidate, Original, Round, Run};
pub use workshop::{PlannedPrompt, Workshop};

//! What the guide to LoRA training says: starting settings for a set of images, and which settings slow learning down.

pub mod advise;
pub mod dampening;
pub mod question;

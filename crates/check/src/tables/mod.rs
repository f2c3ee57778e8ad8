//! What is known of tags: which exclude each other, what poses, framings and backgrounds are called, what tells
//! nothing.

pub mod groups;
pub mod words;

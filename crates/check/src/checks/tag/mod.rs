//! Checks of tags, those that call the subject up first.

pub mod act_first;
pub mod act_shuffle;
pub mod act_typo;
pub mod act_word;
pub mod background;
pub mod blacklist;
pub mod body;
pub mod contra;
pub mod face;
pub mod family;
pub mod form;
pub mod glue;
pub mod meta;
pub mod obvious;
pub mod often_false;
pub mod onoff;
pub mod outlier;
pub mod pose;
pub mod redundant;
pub mod score;
pub mod single;
pub mod unknown;
mod untold;
pub mod weight;

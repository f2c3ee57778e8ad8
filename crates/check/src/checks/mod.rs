//! The checks, one a file, and the table of all.

pub mod caption;
pub mod image;
pub mod set;
pub mod tag;

use crate::about::About;
use crate::found::Check;

/// All checks, in the order in which they are told.
pub const CHECKS: &[Check] = &[
    image::read::CHECK,
    image::small::CHECK,
    image::soft::CHECK,
    image::jpeg::CHECK,
    image::border::CHECK,
    image::alpha::CHECK,
    image::exif::CHECK,
    image::cast::CHECK,
    image::fried::CHECK,
    image::dark::CHECK,
    image::light::CHECK,
    image::flat::CHECK,
    image::grey::CHECK,
    image::aspect::CHECK,
    image::size_odd::CHECK,
    image::writing::CHECK,
    image::people::CHECK,
    image::face::CHECK,
    image::painted::CHECK,
    set::count::CHECK,
    set::steps::CHECK,
    set::repeats::CHECK,
    set::balance::CHECK,
    set::scenes::CHECK,
    set::buckets::CHECK,
    set::exact::CHECK,
    set::near::CHECK,
    set::closeups::CHECK,
    set::variety::CHECK,
    set::reg::CHECK,
    set::resolution::CHECK,
    set::held_out::CHECK,
    caption::missing::CHECK,
    caption::empty::CHECK,
    caption::encoding::CHECK,
    caption::orphan::CHECK,
    caption::mixed::CHECK,
    caption::same::CHECK,
    caption::tokens::CHECK,
    caption::split::CHECK,
    caption::length::CHECK,
    tag::act_first::CHECK,
    tag::act_typo::CHECK,
    tag::act_shuffle::CHECK,
    tag::act_word::CHECK,
    tag::onoff::CHECK,
    tag::redundant::CHECK,
    tag::contra::CHECK,
    tag::outlier::CHECK,
    tag::single::CHECK,
    tag::often_false::CHECK,
    tag::face::CHECK,
    tag::score::CHECK,
    tag::glue::CHECK,
    tag::background::CHECK,
    tag::pose::CHECK,
    tag::obvious::CHECK,
    tag::body::CHECK,
    tag::meta::CHECK,
    tag::blacklist::CHECK,
    tag::form::CHECK,
    tag::weight::CHECK,
    tag::unknown::CHECK,
    tag::family::CHECK,
];

/// What all checks are called, in their order.
pub fn abouts() -> Vec<About> {
    CHECKS.iter().map(|check| check.about).collect()
}

//! Tests of whole trainings and their parts.
//!
//! What belongs where:
//!
//! | file | about |
//! |---|---|
//! | `bake` | whole bakes on a tiny model: what is saved, how often, resuming, stopping |
//! | `step` | one forward and backward pass: parts of a batch, recomputing, prior preservation |
//! | `draws` | what is random about a batch |
//! | `data_options` | options of images and captions that change what is trained on |
//! | `caches` | latents and text states that are kept, in memory and on disk |
//! | `blocks` | ranks and learning rates of single blocks |
//! | `kinds` | adapters of all kinds, from options to files |
//! | `optimizers` | a bake with each optimizer |
//! | `families` | SD1.x, SD2.x and SDXL |
//! | `lycoris_sdxl` | LyCORIS on SDXL against lycoris-lora |
//! | `validation_and_ema` | validation and averaged weights |
//! | `render`, `family_render` | pictures against diffusers |
//! | `memory` | predicted memory against what was measured |
//! | `lost_work` | disks that fail, numbers that break, names that are taken, states that are damaged |
//! | `stages` | stages that were interrupted, and what would stop a later one |
//! | `events` | events as data: to JSON and back |
//! | `extremes` | what a plan makes of numbers at the ends of their range |
//! | `sandbox` | no tests: the folder, the images and the runs of the others |
//!
//! Reference files lie in `golden`; the programs that wrote them, in `oracle/`.

mod bake;
mod blocks;
mod caches;
mod data_options;
mod draws;
mod events;
mod extremes;
mod families;
mod family_render;
mod kinds;
mod lost_work;
mod lycoris_sdxl;
mod memory;
mod onlookers;
mod optimizers;
mod render;
mod sandbox;
mod stages;
mod step;
mod validation_and_ema;

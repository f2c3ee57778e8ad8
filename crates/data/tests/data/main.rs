//! Tests of what becomes of folders of images: data sets, buckets, batches, pixels and prompts.
//!
//! | file | what belongs in it |
//! |---|---|
//! | `folders.rs` | folders as users have them: what is read, left out and refused, in which words |
//! | `misplaced.rs` | folders that are nobody's, images a level off, and the advice |
//! | `sets.rs` | regularization by name, masks, the folders of a `--dataset_config` |
//! | `validation.rs` | images that are held out |
//! | `captions.rs` | the caption rules, their order, how often chance strikes |
//! | `order.rs` | laws of batches, steps and buckets over many seeds and sizes |
//! | `golden.rs` | buckets and pixels against files recorded from sd-scripts, OpenCV and Pillow |
//! | `augment.rs` | colours, face crops, prompt weights, masks; what one use of an image shows |
//! | `hostile.rs` | small files that ask for much memory or time |
//! | `summary.rs` | facts for metadata, the report for users |
//! | `temp_folder.rs` | no tests: the temporary data folder that the others fill |

mod augment;
mod captions;
mod folders;
mod golden;
mod hostile;
mod misplaced;
mod order;
mod sets;
mod summary;
mod temp_folder;
mod validation;

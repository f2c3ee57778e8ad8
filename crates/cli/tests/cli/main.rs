//! Tests of the program as a user meets it: words in, words, files and exit codes out.
//!
//! What belongs where:
//!
//! | file | about |
//! |---|---|
//! | `program` | the commands from end to end, on the small model inside the program |
//! | `recipes` | recipes from elsewhere, advice, what `plan` predicts |
//! | `long_runs` | a run that is killed, goes on, keeps few snapshots, paints, ends with bad numbers |
//! | `lost_work` | names tried before training, two runs of one name, a result whose folder is gone |
//! | `bad_input` | one clear line for everything that is wrong, and nothing written |
//! | `checks` | `lorabake check`: what is told, written, mended, refused |
//! | `data_sets` | folders and captions that would train nothing, or not what is meant |
//! | `elsewhere` | what users of other trainers bring along: files, words, paths |
//! | `grids` | `lorabake grid`: what is written, how it goes on, what is refused |
//! | `gachamax` | rounds from one image to a LoRA |
//! | `judging` | what is measured of a run, and what is refused |
//! | `inspect` | what `inspect` shows |
//! | `models` | checkpoints and LoRAs of other programs, whole and damaged |
//! | `tags` | changes of captions and images, and their way back |
//! | `terminal` | what cannot be printed, what may not be printed as it is, and who may end a training |
//! | `pictures` | `lorabake generate` from pictures, and tags that never act |
//! | `prompt_files` | what files of prompts may ask for |
//! | `reg` | regularization images that the model paints |
//! | `tagging` | captions by taggers: what is written, what stays, sd-scripts' words |
//! | `detailer` | what a detector finds and is painted again |
//! | `figures` | parts, masks, crops and findings by what a detector sees in a data set |
//! | `toolbox` | LoRAs and models merged, extracted, resized, converted, compared; what is refused |
//! | `sandbox` | a folder for each test, runs of the program in it, and what tests look at afterwards |

mod bad_input;
mod checks;
mod data_sets;
mod detailer;
mod elsewhere;
mod figures;
mod gachamax;
mod grids;
mod inspect;
mod judging;
mod long_runs;
mod lost_work;
mod models;
mod pictures;
mod program;
mod prompt_files;
mod recipes;
mod reg;
mod sandbox;
mod tagging;
mod tags;
mod terminal;
mod toolbox;

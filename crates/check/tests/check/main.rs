//! Checks on whole folders, and numbers against those of other programs.
//!
//! | file | about |
//! |---|---|
//! | `golden` | hashes of imagehash 4.3.2, findings of caption-audit 1.3.0 |
//! | `images` | each check of images says what is wrong, and nothing of what is right |
//! | `sets` | the same of the images together |
//! | `tags` | the same of captions and tags |
//! | `sight` | what detectors and taggers see, beside captions |
//! | `docs` | the page of the checks has them all |
//! | `fixes` | what is mended by itself |
//! | `hostile` | files that are broken or lie; nothing is changed |
//! | `folder` | a folder for each test |

mod docs;
mod fixes;
mod folder;
mod golden;
mod hostile;
mod images;
mod sets;
mod sight;
mod tags;

//! The choice among a round's candidates, as it is carried out in the folder.

use anyhow::{Context, Result};

use super::files::free_place;
use super::workshop::Workshop;

impl Workshop {
    /// Keeps the candidates `keep` of round `index`, and moves the others to `rejected`.
    ///
    /// # Errors
    /// When a file cannot be moved; the same call goes on then.
    pub fn choose(&mut self, index: usize, keep: &[String]) -> Result<()> {
        self.run.rounds[index].kept = keep.to_vec();
        self.save()?;
        self.reject_all_but(index, keep)?;
        self.run.rounds[index].chosen = true;
        self.save()
    }

    /// Moves the candidates of round `index` but for `keep` to `rejected`.
    ///
    /// # Errors
    /// When a file cannot be moved; the same call goes on then.
    pub fn reject_all_but(&self, index: usize, keep: &[String]) -> Result<()> {
        let rejected = self.round_folder(index).join("rejected");
        for image in self.left(index)? {
            let name = image.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if keep.contains(&name) {
                continue;
            }
            std::fs::create_dir_all(&rejected).with_context(|| rejected.display().to_string())?;
            // The caption first, since it is by the picture that a later call finds both.
            for path in [image.path.with_extension("txt"), image.path.clone()] {
                let place = free_place(&rejected, &path);
                if path.exists() {
                    std::fs::rename(&path, &place).with_context(|| format!("cannot move {}", path.display()))?;
                }
            }
        }
        Ok(())
    }
}

//! The folder of a run: what lies where, and the steps from one state to the next.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::files::{self, Taken};
use super::prompts::prompt_of;
use super::state::{Candidate, Original, Round, Run, is_name};

/// Uses of images per epoch that a quick LoRA should have at least.
const FEWEST_USES: usize = 40;
/// Repeats of each image, where there are many.
const FEWEST_REPEATS: usize = 10;
/// The state's name.
const STATE: &str = "gachamax.json";
/// The recipe's name.
const RECIPE: &str = "gachamax.toml";
const ORIGINALS: &str = "originals";

/// A run and its folder.
#[derive(Debug)]
pub struct Workshop {
    folder: PathBuf,
    /// What is known of it.
    pub run: Run,
}

impl Workshop {
    /// The run in `folder`, if there is one.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(STATE);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Self { folder: folder.to_owned(), run: Run::read(&path)? }))
    }

    /// Begins a run in `folder` with copies of `images`.
    ///
    /// # Errors
    /// When there is something else in the folder, or files cannot be copied.
    pub fn begin(folder: &Path, name: &str, seed: u64, images: &[Taken]) -> Result<Self> {
        if let Ok(entries) = std::fs::read_dir(folder) {
            for entry in entries {
                let entry = entry?.file_name();
                let entry = entry.to_string_lossy();
                // Locks and half-written files are nobody's work.
                if entry != ORIGINALS && entry != RECIPE && !entry.starts_with(".lorabake-") {
                    bail!("--out {}: there is {entry} in it; name a new folder", folder.display());
                }
            }
        }
        let mut originals = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let name = image.path.file_name().unwrap_or_default().to_string_lossy();
            let file = format!("{}-{name}", index + 1);
            if !is_name(&file) {
                bail!("--image {}: rename the file; its name is none on every system", image.path.display());
            }
            let place = folder.join(ORIGINALS).join(&file);
            // What a run leaves there that was killed at its very beginning is the same; what is the user's is not.
            if let Ok(kept) = std::fs::read(&place)
                && std::fs::read(&image.path).is_ok_and(|given| given != kept)
            {
                bail!("--out {}: there is another file in it, {file}; name a new folder", folder.display());
            }
            files::copy(image, &place)?;
            originals.push(Original { file, caption: image.caption.clone() });
        }
        let workshop = Self { folder: folder.to_owned(), run: Run::new(name.to_owned(), seed, originals) };
        workshop.save()?;
        Ok(workshop)
    }

    /// Writes down what is known.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self) -> Result<()> {
        self.run.write(&self.folder.join(STATE))
    }

    /// The recipe of the quick LoRAs.
    pub fn recipe(&self) -> PathBuf {
        self.folder.join(RECIPE)
    }

    /// The folder of round `index`, counted from 0.
    pub fn round_folder(&self, index: usize) -> PathBuf {
        self.folder.join(format!("round-{}", index + 1))
    }

    /// What the LoRA of a round is called.
    pub fn lora_name(&self, index: usize) -> String {
        format!("{}-round{}", self.run.name, index + 1)
    }

    /// The file of a round's LoRA.
    pub fn lora(&self, index: usize) -> PathBuf {
        self.round_folder(index).join(format!("{}.safetensors", self.lora_name(index)))
    }

    /// The folder of a round's candidates.
    pub fn candidates(&self, index: usize) -> PathBuf {
        self.round_folder(index).join("candidates")
    }

    /// The images that the run began with.
    pub fn originals(&self) -> Vec<Taken> {
        let mut all = Vec::new();
        for original in &self.run.originals {
            let path = self.folder.join(ORIGINALS).join(&original.file);
            all.push(Taken { path, caption: original.caption.clone() });
        }
        all
    }

    /// The originals, and what is left of the candidates of all rounds whose choice is made.
    ///
    /// # Errors
    /// When a folder or a caption cannot be read.
    pub fn images(&self) -> Result<Vec<Taken>> {
        let mut all = self.originals();
        for (index, round) in self.run.rounds.iter().enumerate() {
            if round.chosen {
                all.extend(self.left(index)?);
            }
        }
        Ok(all)
    }

    /// The images in a round's folder of candidates, also edited and new ones, in the order of their names.
    ///
    /// # Errors
    /// When the folder or a caption cannot be read.
    pub fn left(&self, index: usize) -> Result<Vec<Taken>> {
        let paths = files::images(&self.candidates(index))?;
        let planned = &self.run.rounds[index].candidates;
        let mut all = Vec::new();
        for path in paths {
            let text = path.with_extension("txt");
            let stem = |name: &str| Path::new(name).file_stem() == path.file_stem();
            let caption = if text.is_file() {
                let text = std::fs::read_to_string(&text)
                    .with_context(|| format!("{}: it cannot be read as UTF-8; save it so", text.display()))?;
                text.trim().to_owned()
            } else if let Some(candidate) = planned.iter().find(|candidate| stem(&candidate.file)) {
                candidate.caption.clone()
            } else {
                bail!("{}: it has no caption; write one into {}", path.display(), text.display());
            };
            all.push(Taken { path, caption });
        }
        Ok(all)
    }

    /// Begins the next round with all images that there are; those of the round before that have gone since.
    ///
    /// # Errors
    /// When a folder cannot be read, or the state cannot be written.
    pub fn begin_round(&mut self) -> Result<Vec<String>> {
        let mut images = Vec::new();
        for image in self.images()? {
            images.push(self.inside(&image).join("/"));
        }
        let mut gone = Vec::new();
        if let Some(last) = self.run.rounds.len().checked_sub(1) {
            let before = &self.run.rounds[last];
            let kept = before.kept.iter().map(|name| format!("round-{}/candidates/{name}", last + 1));
            for image in before.images.iter().cloned().chain(kept) {
                if !images.contains(&image) {
                    gone.push(image);
                }
            }
        }
        self.run.rounds.push(Round { images, ..Round::default() });
        self.save()?;
        Ok(gone)
    }

    /// Fills the folder that round `index` is trained on, `images` in the round's folder. Images of the round that have gone
    /// before they were copied are left out, and returned.
    ///
    /// # Errors
    /// When a file cannot be copied, or a folder cannot be read.
    pub fn fill(&mut self, index: usize) -> Result<Vec<String>> {
        let folder = self.round_folder(index).join("images");
        let earlier = files::concept(&folder, &self.run.name);
        let there = self.images()?;
        let mut gone = Vec::new();
        let mut left = Vec::new();
        for image in &self.run.rounds[index].images {
            let is_there = there.iter().any(|taken| self.inside(taken).join("/") == *image);
            let is_copied = earlier.as_ref().is_some_and(|folder| folder.join(copy_name(image)).is_file());
            if is_there || is_copied { left.push(image.clone()) } else { gone.push(image.clone()) }
        }
        let repeats = FEWEST_USES.div_ceil(left.len().max(1)).max(FEWEST_REPEATS);
        let concept = folder.join(format!("{repeats}_{}", self.run.name));
        if let Some(earlier) = earlier
            && earlier != concept
        {
            std::fs::rename(&earlier, &concept).with_context(|| format!("cannot rename {}", earlier.display()))?;
        }
        for image in &there {
            let inside = self.inside(image).join("/");
            if left.contains(&inside) {
                files::copy(image, &concept.join(copy_name(&inside)))?;
            }
        }
        if !gone.is_empty() {
            self.run.rounds[index].images = left;
            self.save()?;
        }
        Ok(gone)
    }

    /// The parts of an image's path in the run's folder.
    fn inside(&self, image: &Taken) -> Vec<String> {
        let inside = image.path.strip_prefix(&self.folder).unwrap_or(&image.path);
        inside.iter().map(|part| part.to_string_lossy().into_owned()).collect()
    }

    /// Has other candidates planned for round `index`, since none was chosen.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn try_again(&mut self, index: usize) -> Result<()> {
        let round = &mut self.run.rounds[index];
        round.tries += 1;
        round.asked_before += round.candidates.len();
        round.candidates.clear();
        round.painted = false;
        self.save()
    }

    /// Plans the candidates of round `index`, one of each of `prompts`; later tries have other seeds and names.
    pub fn plan(&mut self, index: usize, prompts: &[PlannedPrompt]) {
        let first = self.run.rounds[index].asked_before;
        let seed = self.run.seed.wrapping_add(1000 * (index as u64 + 1));
        let mut candidates = Vec::new();
        for (place, planned) in prompts.iter().enumerate() {
            let number = first.wrapping_add(place);
            candidates.push(Candidate {
                file: format!("{:02}.png", number.wrapping_add(1)),
                prompt: planned.prompt.clone(),
                caption: planned.caption.clone(),
                seed: seed.wrapping_add(number as u64) & u64::from(u32::MAX),
                likeness: None,
            });
        }
        self.run.rounds[index].candidates = candidates;
    }
}

/// What the copy of an image is called: `round-1/candidates/03.png` becomes `round-1-03.png`.
fn copy_name(inside: &str) -> String {
    let parts: Vec<&str> = inside.split('/').filter(|part| *part != "candidates" && *part != ORIGINALS).collect();
    parts.join("-")
}

/// A prompt, and the caption of its picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPrompt {
    /// In the web UI's form.
    pub prompt: String,
    /// Its words.
    pub caption: String,
}

impl PlannedPrompt {
    /// The prompt that says a caption.
    pub fn of_caption(caption: String) -> Self {
        Self { prompt: prompt_of(&caption), caption }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(folder: &Path) -> Workshop {
        let image = folder.join("me.png");
        std::fs::write(&image, "an image").unwrap();
        let taken = Taken { path: image, caption: "penny, hat".to_owned() };
        Workshop::begin(&folder.join("out"), "penny", 7, &[taken]).unwrap()
    }

    fn prompts(count: usize) -> Vec<PlannedPrompt> {
        (0..count).map(|index| PlannedPrompt::of_caption(format!("penny, ({index})"))).collect()
    }

    /// Puts a round's candidates into their folder.
    fn paint(workshop: &Workshop, index: usize) {
        std::fs::create_dir_all(workshop.candidates(index)).unwrap();
        for candidate in &workshop.run.rounds[index].candidates {
            let path = workshop.candidates(index).join(&candidate.file);
            std::fs::write(path.with_extension("txt"), &candidate.caption).unwrap();
            std::fs::write(path, "a picture").unwrap();
        }
    }

    #[test]
    fn a_round_goes_from_images_to_images() {
        let folder = tempfile::tempdir().unwrap();
        let mut workshop = begun(folder.path());
        workshop.begin_round().unwrap();
        assert_eq!(workshop.run.rounds[0].images, ["originals/1-me.png"]);
        assert_eq!(workshop.fill(0).unwrap(), Vec::<String>::new());
        let images = workshop.round_folder(0).join("images/40_penny");
        assert_eq!(std::fs::read_to_string(images.join("1-me.txt")).unwrap(), "penny, hat\n");
        workshop.plan(0, &prompts(3));
        assert_eq!(workshop.run.rounds[0].candidates[1].seed, 1008);
        assert_eq!(workshop.run.rounds[0].candidates[1].prompt, "penny, \\(1\\)");
        paint(&workshop, 0);
        workshop.choose(0, &["02.png".to_owned()]).unwrap();
        let rejected = folder.path().join("out/round-1/rejected");
        assert!(rejected.join("01.png").is_file() && rejected.join("03.txt").is_file());
        // What somebody added goes into the next round, and what went later does not.
        std::fs::write(workshop.candidates(0).join("mine.jpg"), "").unwrap();
        assert!(workshop.images().unwrap_err().to_string().contains("mine.jpg: it has no caption; write one into"));
        std::fs::write(workshop.candidates(0).join("mine.txt"), "penny, mine\n").unwrap();
        let mut again = Workshop::open(&folder.path().join("out")).unwrap().unwrap();
        assert_eq!(again.begin_round().unwrap(), Vec::<String>::new());
        let wanted = ["originals/1-me.png", "round-1/candidates/02.png", "round-1/candidates/mine.jpg"];
        assert_eq!(again.run.rounds[1].images, wanted);
        again.fill(1).unwrap();
        let images = again.round_folder(1).join("images/14_penny");
        assert_eq!(std::fs::read_to_string(images.join("round-1-mine.txt")).unwrap(), "penny, mine\n");
        assert_eq!(again.lora_name(1), "penny-round2");
    }

    #[test]
    fn a_choice_that_was_cut_off_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut workshop = begun(folder.path());
        workshop.begin_round().unwrap();
        workshop.plan(0, &prompts(2));
        paint(&workshop, 0);
        let rejected = folder.path().join("out/round-1/rejected");
        std::fs::create_dir_all(&rejected).unwrap();
        // The caption is there already, its picture is not.
        std::fs::rename(workshop.candidates(0).join("01.txt"), rejected.join("01.txt")).unwrap();
        workshop.choose(0, &["02.png".to_owned()]).unwrap();
        assert!(rejected.join("01.png").is_file() && !rejected.join("01-2.txt").exists());
        assert_eq!(workshop.left(0).unwrap().len(), 1);
        // Another try has other names and seeds.
        workshop.try_again(0).unwrap();
        workshop.plan(0, &prompts(1));
        let next = &workshop.run.rounds[0].candidates[0];
        assert_eq!((next.file.as_str(), next.seed), ("03.png", 1009));
    }

    #[test]
    fn a_folder_with_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("out")).unwrap();
        std::fs::write(folder.path().join("out/notes.txt"), "").unwrap();
        let error = Workshop::begin(&folder.path().join("out"), "penny", 7, &[]).unwrap_err().to_string();
        assert!(error.ends_with("there is notes.txt in it; name a new folder"), "{error}");
    }
}

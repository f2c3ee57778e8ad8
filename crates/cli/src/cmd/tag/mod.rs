//! `lorabake tag`: tags of images by taggers that the user brings, as captions.

mod args;
mod asking;
mod captions;
mod one_file;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Result, anyhow, bail};
use lorabake_data::scan::pairs::{Pair, pairs_below};
use lorabake_recipe::count;
use lorabake_vision::tagger::{Opinion, SelfTest, Wording, combined};

pub use args::Args;
use asking::{Asking, Seen};
use captions::Captions;
use lorabake_tags::change::{Existing, consolidated};

use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// The most tags that are shown by `--frequency_tags`, and problems that are named one by one.
const NAMED: usize = 20;

/// Tags what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, taggers or folders.
pub fn run(args: &Args) -> Result<ExitCode> {
    args.tagger.set_threads()?;
    if let Some(path) = &args.tagger.self_test {
        for line in SelfTest::of(path)?.lines {
            terminal::result(&Shown(line).to_string());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(folder) = &args.folder else { bail!("name the folder of your images") };
    let wording = args.words.wording(&args.choice)?;
    let found = images(folder, args)?;
    let mut asking = Asking::of(args)?;
    let mut journal = captions::journal(folder, args)?;
    let captions = Captions::of(journal.as_mut(), &found, args);
    let wanted = wanted(found, args, &asking);
    if wanted.is_empty() {
        terminal::say("every image has its caption, and nothing is written; --existing append or replace changes them");
        return Ok(ExitCode::SUCCESS);
    }
    let work = Work { args, wording, folder, captions, words: Vec::new(), problems: Vec::new(), kept: 0 };
    work.all(&mut asking, wanted)
}

/// The images of the folder.
fn images(folder: &Path, args: &Args) -> Result<Vec<Pair>> {
    if !folder.is_dir() {
        let what = if folder.exists() { "it is a file" } else { "there is no such folder" };
        bail!("{}: {what}; name the folder of your images", folder.display());
    }
    let found = pairs_below(folder, args.output.extension().as_deref());
    let found = found.map_err(|why| anyhow!("{}: {why}; name a folder that can be read", folder.display()))?;
    if found.pairs.is_empty() {
        bail!("{}: there are no images in it; name the folder of your images", folder.display());
    }
    Ok(found.pairs)
}

/// Those images that are looked at: none whose caption stays anyway, unless scores or one file of all are wanted.
fn wanted(found: Vec<Pair>, args: &Args, asking: &Asking) -> Vec<Pair> {
    let is_whole = asking.keeps_scores() || args.output.output_path.is_some();
    if is_whole || args.output.existing() != Existing::Keep {
        return found;
    }
    let all = found.len();
    let new: Vec<Pair> = found.into_iter().filter(|pair| pair.caption.is_none()).collect();
    if !new.is_empty() && new.len() < all {
        terminal::say(&format!("{} of {all} images have captions, which stay as they are", all - new.len()));
    }
    new
}

/// An image with its words.
struct Worded {
    pair: Pair,
    size: [u32; 2],
    words: Vec<String>,
}

/// What is being done.
struct Work<'a> {
    args: &'a Args,
    wording: Wording,
    folder: &'a Path,
    captions: Captions<'a>,
    /// What was found and is not written yet.
    words: Vec<Worded>,
    problems: Vec<String>,
    /// Captions that were there and stayed.
    kept: usize,
}

impl Work<'_> {
    /// Looks at all images, a batch at a time, while the next is read.
    fn all(mut self, asking: &mut Asking, wanted: Vec<Pair>) -> Result<ExitCode> {
        let stopped = stop::wished()?;
        let total = wanted.len();
        let batches: Vec<&[Pair]> = wanted.chunks(self.args.tagger.batch_size.into()).collect();
        let mut counter = Counter::new("tagging", total as u64);
        let began = std::time::Instant::now();
        let mut done = 0;
        let mut frequencies: BTreeMap<String, Frequency> = BTreeMap::new();
        let mut ready = asking.read(batches[0]);
        for number in 0..batches.len() {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            let (next, seen) =
                rayon::join(|| batches.get(number + 1).map(|batch| asking.read(batch)), || asking.ask(&ready));
            let seen = seen?;
            let batch = std::mem::replace(&mut ready, next.unwrap_or_default());
            done += batches[number].len();
            self.problems.extend(batch.problems);
            for one in seen {
                self.take(one, asking, &mut frequencies)?;
            }
            if self.is_written_at_once() {
                self.write();
            }
            let pace = done as f64 / began.elapsed().as_secs_f64().max(1e-9);
            counter.set(done as u64, format!("{pace:.1} images/s"));
        }
        counter.clear();
        self.finish(done, total, &frequencies)
    }

    /// Turns what taggers say of an image into words.
    fn take(&mut self, seen: Seen, asking: &mut Asking, frequencies: &mut BTreeMap<String, Frequency>) -> Result<()> {
        let mut opinions = Vec::new();
        for (row, tagger) in seen.rows.iter().zip(asking.taggers()) {
            opinions.push(Opinion { scores: &row.scores, choice: &tagger.choice });
        }
        let tags = combined(&opinions, self.args.tagger.combine);
        let mut words = self.wording.words(&tags);
        if self.args.choice.consolidate {
            words = consolidated(words);
        }
        for word in &words {
            let place = frequencies.len();
            let known = frequencies.entry(word.clone()).or_insert(Frequency { images: 0, place });
            known.images += 1;
        }
        asking.keep(&seen)?;
        self.words.push(Worded { pair: seen.pair, size: seen.size, words });
        Ok(())
    }

    /// Whether captions are written as soon as they are known: else all images have to be looked at first.
    fn is_written_at_once(&self) -> bool {
        self.args.choice.min_images.is_none() && self.args.output.output_path.is_none()
    }

    /// Writes what is known.
    fn write(&mut self) {
        for one in std::mem::take(&mut self.words) {
            match self.captions.put(&one.pair, &one.words, self.args.words.caption_separator.as_str()) {
                Ok(written) => self.kept += usize::from(!written),
                Err(why) => self.problems.push(why.to_string()),
            }
        }
    }

    fn finish(mut self, done: usize, total: usize, frequencies: &BTreeMap<String, Frequency>) -> Result<ExitCode> {
        let is_whole = done == total;
        if let Some(fewest) = self.args.choice.min_images {
            for one in &mut self.words {
                one.words.retain(|word| frequencies.get(word).is_some_and(|known| known.images >= fewest as usize));
            }
        }
        match &self.args.output.output_path {
            Some(path) if is_whole && !self.args.output.dry_run => {
                let rows = std::mem::take(&mut self.words);
                one_file::write(path, self.folder, &rows, &self.args.words.caption_separator)?;
            }
            Some(_) => self.words.clear(),
            None if is_whole || self.is_written_at_once() => self.write(),
            None => self.words.clear(),
        }
        if self.args.output.frequency_tags {
            show(frequencies);
        }
        for problem in self.problems.iter().take(NAMED) {
            terminal::say(&format!("left out: {}", Shown(problem)));
        }
        if self.problems.len() > NAMED {
            terminal::say(&format!("left out: {} more", count(self.problems.len() - NAMED, "image")));
        }
        if self.kept > 0 {
            terminal::say(&format!("{} stay as they are", count(self.kept, "caption")));
        }
        self.captions.tell(self.args.output.dry_run);
        if !is_whole {
            let kept = if self.is_written_at_once() { "what is done is kept" } else { "no captions are written" };
            terminal::say(&format!("stopped: {done} of {total} images; {kept}, and the same command goes on"));
            return Ok(ExitCode::from(stop::INTERRUPTED as u8));
        }
        Ok(if self.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// How often a tag was found, and which one it was in the order in which they came.
struct Frequency {
    images: usize,
    place: usize,
}

/// The tags with their counts, the most frequent first, as sd-scripts prints them.
fn show(frequencies: &BTreeMap<String, Frequency>) {
    let mut sorted: Vec<(&String, &Frequency)> = frequencies.iter().collect();
    sorted.sort_by_key(|(_, known)| (std::cmp::Reverse(known.images), known.place));
    terminal::result("Tag frequencies:");
    for (tag, known) in sorted {
        terminal::result(&format!("{}: {}", Shown(tag), known.images));
    }
}

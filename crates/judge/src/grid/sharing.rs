//! What pictures of a grid share: the order that reads least, which of them are the same, and how often something is read.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::meaning::Meaning;
use super::plan::{Picture, Plan, Shares};

/// How often something has to be read or encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Checkpoints that are opened.
    pub models: usize,
    /// Files of networks that are read, each as often as it is read.
    pub network_reads: usize,
    /// Times that texts are encoded, if none of them changes over the steps.
    pub texts: usize,
}

/// Numbers of texts in the order in which they were first met, from 1.
#[derive(Default)]
struct Groups(HashMap<String, usize>);

impl Groups {
    fn number(&mut self, text: &str) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(text.to_owned()).or_insert(next)
    }
}

impl Plan {
    /// Puts pictures of one checkpoint, then of the same networks, then of the same texts behind each other. `meanings` are
    /// those of the cells, in their order.
    pub(super) fn put_in_order(&mut self, meanings: &[Meaning]) {
        let mut groups = Groups::default();
        let mut keyed = Vec::new();
        let pictures = std::mem::take(&mut self.pictures);
        for (index, mut picture) in pictures.into_iter().enumerate() {
            let meaning = &meanings[index / self.per_cell];
            let model = &self.models[picture.model].choice;
            picture.shares = Shares {
                networks: if meaning.files.is_empty() { 0 } else { groups.number(&meaning.networks) },
                files: meaning.files.len(),
                texts: groups.number(&format!("{} {}", meaning.text_networks, meaning.texts)),
            };
            let key = [
                groups.number(&format!("{:?}", model.checkpoint)),
                groups.number(&format!("{:?} {:?}", model.checkpoint, model.vae)),
                groups.number(&format!("{:?}", meaning.files)),
                groups.number(&meaning.networks),
                groups.number(&meaning.texts),
                index,
            ];
            keyed.push((key, picture));
        }
        keyed.sort_by_key(|(key, _)| *key);
        let mut files: Vec<PathBuf> = meanings.iter().flat_map(|meaning| meaning.files.clone()).collect();
        files.sort();
        files.dedup();
        self.network_files = files;
        let mut first: HashMap<(usize, &str, usize), String> = HashMap::new();
        for (key, picture) in &mut keyed {
            let meaning = &meanings[key[5] / self.per_cell];
            let same = (picture.model, meaning.whole.as_str(), picture.number);
            picture.twin = first.get(&same).cloned();
            first.entry(same).or_insert_with(|| picture.file.clone());
        }
        self.pictures = keyed.into_iter().map(|(_, picture)| picture).collect();
    }

    /// What painting the pictures takes that `is_there` does not know; each copies an earlier one that means the same.
    pub fn work(&self, is_there: impl Fn(&Picture) -> bool) -> Work {
        let mut work = Work::default();
        let mut model = None;
        let mut networks = 0;
        let mut texts = HashSet::new();
        for picture in &self.pictures {
            if picture.twin.is_some() || is_there(picture) {
                continue;
            }
            if model != Some(picture.model) {
                model = Some(picture.model);
                networks = 0;
                work.models += 1;
            }
            if networks != picture.shares.networks {
                networks = picture.shares.networks;
                work.network_reads += picture.shares.files;
            }
            if texts.insert((picture.model, picture.shares.texts)) {
                work.texts += 1;
            }
        }
        work
    }
}

//! Regularization images that the base model paints: what of, under which names, with which captions.
//!
//! Source: the guides' two routes. Easy: many pictures of one class prompt, with seeds that go up. Hard: one picture for
//! each training image, of its caption, with the training seed and at the training size, under the same name, so that
//! `--reg_pairing=same_name` finds the pairs. Not here: painting, and what is written.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lorabake_data::bucket::Layout;
use lorabake_data::{Dataset, Item, caption, comparable_path};
use lorabake_generate::prompt::{literal, literal_but_weights};
use lorabake_recipe::data::Data;
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::seed::Seed;

/// Letters of a folder's name.
const LONGEST_NAME: usize = 60;

/// A picture to be painted, and the caption beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegPicture {
    /// The PNG file, below the folder for `--reg_data_dir`.
    pub picture: PathBuf,
    /// The file of its caption, beside it.
    pub caption_file: PathBuf,
    /// What the caption says.
    pub caption: String,
    /// What is painted: the caption as training would use it, written as a prompt that says just that.
    pub prompt: String,
    /// Seed of its noise.
    pub seed: u64,
    /// Width and height in pixels, multiples of 8.
    pub size: [usize; 2],
    /// The data set of the `--dataset_config` that it is for, from 0; 0 without one.
    pub dataset: usize,
}

/// Words of captions that stand for what is trained, and what regularization images have in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The words, as captions have them.
    pub words: String,
    /// What stands in their place; `None` = nothing.
    pub class: Option<String>,
}

/// The easy route: pictures of one prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassWish<'a> {
    /// The prompt, as the web UI reads it, and the caption.
    pub prompt: &'a str,
    /// How many pictures.
    pub number: u32,
    /// Seed of the first; the others follow.
    pub seed: u64,
    /// Width and height of training.
    pub resolution: (u32, u32),
    /// Suffix of caption files with its dot.
    pub suffix: &'a str,
}

/// The hard route: a picture for each training image.
#[derive(Debug, Clone, PartialEq)]
pub struct PairsWish<'a> {
    /// What of captions is said otherwise.
    pub replacements: &'a [Replacement],
    /// Whether each is as large as its training image's bucket, not as `--resolution`.
    pub bucket_size: bool,
    /// Seed of all of them.
    pub seed: u64,
}

/// The pictures of the hard route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pairs {
    /// In the order of the training images.
    pub pictures: Vec<RegPicture>,
    /// Training images whose name another one of their data set has too, so that they share its picture.
    pub shared: Vec<PathBuf>,
    /// Words that are in no caption.
    pub not_found: Vec<Replacement>,
}

/// The pictures of a class prompt, each called by its seed.
pub fn of_class(wish: &ClassWish<'_>) -> Vec<RegPicture> {
    let folder = folder_name(wish.prompt);
    let mut pictures = Vec::new();
    for index in 0..u64::from(wish.number) {
        let seed = (wish.seed + index) & u64::from(u32::MAX);
        let stem = OsString::from(format!("{seed:05}"));
        pictures.push(RegPicture {
            picture: file(&folder, &stem, ".png"),
            caption_file: file(&folder, &stem, wish.suffix),
            caption: wish.prompt.to_owned(),
            prompt: wish.prompt.to_owned(),
            seed,
            size: sides(wish.resolution),
            dataset: 0,
        });
    }
    pictures
}

/// A picture for each training image of `dataset` that is not held out.
pub fn of_images(dataset: &Dataset, layout: &Layout, data: &Data, wish: &PairsWish<'_>) -> Pairs {
    let mut pairs = Pairs::default();
    let mut names: HashSet<(usize, PathBuf)> = HashSet::new();
    // Names are paired within each data set, which may have the same images in another size.
    let has_several = dataset.items.iter().any(|item| dataset.group(data, item) > 0);
    let mut found = vec![false; wish.replacements.len()];
    for (index, item) in dataset.items.iter().enumerate() {
        if item.is_reg || item.held_out {
            continue;
        }
        let stem = item.path.with_extension("").file_name().unwrap_or_default().to_owned();
        let group = dataset.group(data, item);
        if !names.insert((group, comparable_path(Path::new(&stem)))) {
            pairs.shared.push(item.path.clone());
            continue;
        }
        let settings = dataset.settings(data, item);
        let rules = &settings.captions;
        let [mut caption, mut prompt] = texts(item, rules, wish.seed, index as u64);
        let mut words = dataset.folders[item.folder].class_tokens.clone();
        for (replacement, found) in wish.replacements.iter().zip(&mut found) {
            *found |= replacement.in_place(&mut prompt, &rules.separator);
            replacement.in_place(&mut caption, &rules.separator);
            replacement.in_place(&mut words, &rules.separator);
        }
        let mut folder = folder_name(&words);
        if has_several {
            folder = format!("dataset-{}/{folder}", group + 1);
        }
        let resolution = if wish.bucket_size { layout.placements[index].bucket } else { settings.resolution };
        let suffix = settings.caption_extension.as_deref().unwrap_or(".txt");
        pairs.pictures.push(RegPicture {
            picture: file(&folder, &stem, ".png"),
            caption_file: file(&folder, &stem, suffix),
            caption,
            prompt: if rules.weighted { literal_but_weights(&prompt) } else { literal(&prompt) },
            seed: wish.seed,
            size: sides(resolution),
            dataset: group,
        });
    }
    for (replacement, found) in wish.replacements.iter().zip(found) {
        if !found {
            pairs.not_found.push(replacement.clone());
        }
    }
    pairs
}

/// The caption for a file, which goes through the caption rules when it is read, and the prompt, which has gone through
/// them. Of wildcards both have the same choice.
fn texts(item: &Item, rules: &CaptionRules, seed: u64, index: u64) -> [String; 2] {
    let prompt = caption::unaugmented(&item.caption, rules, Seed(seed), index);
    if !rules.wildcards {
        return [item.caption.clone(), prompt];
    }
    let bare = CaptionRules { prefix: None, suffix: None, ..rules.clone() };
    [caption::unaugmented(&item.caption, &bare, Seed(seed), index), prompt]
}

impl Replacement {
    /// Says `text` otherwise; whether the words were in it.
    fn in_place(&self, text: &mut String, separator: &str) -> bool {
        match caption::without_trigger(text, &self.words, self.class.as_deref(), separator) {
            Some(other) => {
                *text = other;
                true
            }
            None => false,
        }
    }
}

/// `1_girl`: a folder of images that are used once, whose words are `words` as far as file systems take them.
fn folder_name(words: &str) -> String {
    let mut name: String = words.chars().filter(|symbol| !is_refused(*symbol)).take(LONGEST_NAME).collect();
    // Windows drops what stands at the end of a name.
    name.truncate(name.trim_end_matches([' ', '.', ',']).len());
    let name = name.trim_start();
    if name.is_empty() { "1_reg".to_owned() } else { format!("1_{name}") }
}

/// Whether Windows takes no name with this character.
fn is_refused(symbol: char) -> bool {
    symbol.is_control() || "<>:\"/\\|?*".contains(symbol)
}

/// The file `stem` with `suffix`; a stem may have dots of its own.
fn file(folder: &str, stem: &OsString, suffix: &str) -> PathBuf {
    let mut name = stem.clone();
    name.push(suffix);
    Path::new(folder).join(name)
}

/// Sides in pixels that the VAE can give.
fn sides(resolution: (u32, u32)) -> [usize; 2] {
    let (width, height) = resolution;
    [width, height].map(|side| (side / 8 * 8) as usize)
}

#[cfg(test)]
mod tests {
    use lorabake_data::scan;
    use lorabake_recipe::parse_train;

    use super::*;

    /// A data set of images of 64 × 128 pixels, each `FOLDER/NAME` with its caption; none where that is empty.
    fn pairs(images: &[[&str; 2]], more: &[&str], wish: &PairsWish<'_>) -> Pairs {
        let folder = tempfile::tempdir().unwrap();
        for [name, caption] in images {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::new(64, 128).save(&path).unwrap();
            if !caption.is_empty() {
                std::fs::write(path.with_extension("txt"), caption).unwrap();
            }
        }
        let set = format!("--train_data_dir={}", folder.path().display());
        let words = [&[set.as_str(), "--output_dir=out", "--resolution=128", "--enable_bucket"], more].concat();
        let argv: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        let data = parse_train(&argv).unwrap().recipe.data;
        let dataset = scan(&data).unwrap();
        let layout = Layout::new(&dataset, &data).unwrap();
        of_images(&dataset, &layout, &data, wish)
    }

    fn penny() -> Replacement {
        Replacement { words: "penny".to_owned(), class: Some("girl".to_owned()) }
    }

    #[test]
    fn every_image_has_a_picture_of_its_name() {
        let images = [["10_penny/a.b.png", "penny, hat (straw)"], ["10_penny/c.png", ""], ["2_x/c.jpg", "x"]];
        let wish = PairsWish { replacements: &[penny()], bucket_size: false, seed: 7 };
        let pairs = pairs(&images, &["--caption_prefix=nice"], &wish);
        let [first, second] = pairs.pictures.as_slice() else { panic!("{pairs:?}") };
        assert_eq!(first.picture, Path::new("1_girl").join("a.b.png"));
        assert_eq!(first.caption_file, Path::new("1_girl").join("a.b.txt"));
        assert_eq!(first.caption, "girl, hat (straw)");
        assert_eq!(first.prompt, r"nice girl, hat \(straw\)");
        assert_eq!((first.seed, first.size), (7, [128, 128]));
        // Its caption is its folder's name.
        assert_eq!((second.caption.as_str(), second.prompt.as_str()), ("girl", "nice girl"));
        assert_eq!(pairs.shared.len(), 1);
        assert!(pairs.shared[0].ends_with("c.jpg") && pairs.not_found.is_empty());
    }

    #[test]
    fn sizes_may_be_those_of_buckets_and_triggers_may_stay() {
        let wish = PairsWish { replacements: &[], bucket_size: true, seed: 420 };
        let pairs = pairs(&[["1_penny/a.png", "penny: [x]"]], &["--weighted_captions", "--min_bucket_reso=64"], &wish);
        // 64 × 128 pixels are nearest to 1 : 3 among the buckets of sd-scripts, which has no 1 : 2 here.
        assert_eq!(pairs.pictures[0].size, [64, 192]);
        assert_eq!(pairs.pictures[0].prompt, "penny: [x]");
    }

    #[test]
    fn a_word_that_no_caption_has_is_told() {
        let other = Replacement { words: "pen".to_owned(), class: None };
        let wish = PairsWish { replacements: &[other.clone(), penny()], bucket_size: false, seed: 420 };
        let pairs = pairs(&[["1_x/a.png", "a penny"]], &[], &wish);
        assert_eq!(pairs.not_found, [other]);
        assert_eq!(pairs.pictures[0].caption, "a girl");
    }

    #[test]
    fn a_wildcard_is_drawn_once_for_both_texts() {
        let wish = PairsWish { replacements: &[], bucket_size: false, seed: 420 };
        let more = ["--enable_wildcard", "--caption_suffix=outside"];
        let pairs = pairs(&[["1_x/a.png", "{a|b|c|d|e|f} cat\n{g|h|i|j|k|l} dog"]], &more, &wish);
        let RegPicture { caption, prompt, .. } = &pairs.pictures[0];
        assert_eq!(*prompt, format!("{caption} outside"));
        assert!(!caption.contains('{'), "{caption}");
    }

    #[test]
    fn pictures_of_a_class_count_up() {
        let wish = ClassWish {
            prompt: "1girl, a/b: <x>...",
            number: 2,
            seed: 420,
            resolution: (516, 512),
            suffix: ".caption",
        };
        let pictures = of_class(&wish);
        assert_eq!(pictures[1].picture, Path::new("1_1girl, ab x").join("00421.png"));
        assert_eq!(pictures[1].caption_file, Path::new("1_1girl, ab x").join("00421.caption"));
        assert_eq!((pictures[1].seed, pictures[1].size), (421, [512, 512]));
        assert_eq!(folder_name(" .../ "), "1_reg");
    }
}

//! What follows `lorabake tag`; options that sd-scripts' script has are called as there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use lorabake_tags::change::Existing;
use lorabake_vision::tagger::{
    Category, Combine, Cut, LEAST_KEPT, Order, Place, Replacement, Resampling, Underscores, Wording,
};

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// The folder of your images, with all folders in it.
    #[arg(value_name = "FOLDER", required_unless_present = "self_test")]
    pub folder: Option<PathBuf>,
    #[command(flatten)]
    pub tagger: TaggerArgs,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    #[command(flatten)]
    pub words: WordArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub accepted: AcceptedArgs,
}

/// Which taggers, and how they work.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Taggers")]
pub struct TaggerArgs {
    /// A tagger: the folder with its model.onnx and list of tags (WD 1.4 to v3, cl_tagger, JoyTag, DeepDanbooru, …), or that
    /// file. May be given several times.
    #[arg(long, value_name = "FOLDER")]
    pub model: Vec<PathBuf>,
    /// How several taggers act together: union, intersection or mean (of their scores).
    #[arg(long, value_name = "WAY", default_value = "union")]
    pub combine: Combine,
    /// How pictures come to the tagger's size: area as sd-scripts does, or bicubic, bilinear, lanczos. [default: as the
    /// tagger was made with]
    #[arg(long, value_name = "WAY", value_parser = resampling)]
    pub resize: Option<Resampling>,
    /// Pictures that are looked at together.
    #[arg(long, value_name = "PICTURES", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub batch_size: u16,
    /// Processor threads to work with. [default: all cores]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Tells whether a tagger works here, and why not: its operators, shapes, and what it says of a drawn picture.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["model", "folder"])]
    pub self_test: Option<PathBuf>,
}

/// Which tags count.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Which tags count")]
pub struct ChoiceArgs {
    /// From which score on a tag counts, in every category. [default: the tagger's own, for WD 0.35 and 0.85 for characters]
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub thresh: Option<f32>,
    /// … of what is seen.
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub general_threshold: Option<f32>,
    /// … of characters; above 1 leaves them out, as with the others.
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub character_threshold: Option<f32>,
    /// … of works.
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub copyright_threshold: Option<f32>,
    /// … of artists.
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub artist_threshold: Option<f32>,
    /// … about the picture as a file.
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub meta_threshold: Option<f32>,
    /// … of models that painted it.
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub model_threshold: Option<f32>,
    /// Cuts each picture's scores in their largest gap (MCut), where no threshold is typed.
    #[arg(long)]
    pub mcut: bool,
    /// So many tags of a picture at most, the likeliest.
    #[arg(long, value_name = "TAGS")]
    pub max_tags: Option<usize>,
    /// Leaves out tags that fewer images of the folder have.
    #[arg(long, value_name = "IMAGES", value_parser = clap::value_parser!(u32).range(1..))]
    pub min_images: Option<u32>,
    /// Makes one of tags that say one thing: of `boots, red footwear, red boots` only the last, as lorabake tags consolidate
    /// does. Captions that are there keep what they have.
    #[arg(long)]
    pub consolidate: bool,
    /// Tags that are left out, separated as in captions.
    #[arg(long, value_name = "TAGS", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub undesired_tags: String,
}

/// How tags are written.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "How tags are written")]
pub struct WordArgs {
    /// Which tag comes first: the likeliest (probability), or as in the tagger's list (list), as sd-scripts writes WD's.
    #[arg(long, value_name = "ORDER", default_value = "probability", value_parser = ["probability", "list"])]
    pub tag_order: String,
    /// Keeps underscores. [default: they become spaces, but in faces such as ^_^]
    #[arg(long, conflicts_with = "remove_underscore")]
    pub keep_underscore: bool,
    /// Makes underscores spaces by sd-scripts' rule: in tags of more than three letters.
    #[arg(long)]
    pub remove_underscore: bool,
    /// Writes `\(` for `(`, as prompts want it; captions for training are read as they stand.
    #[arg(long)]
    pub escape: bool,
    /// What is written in place of tags: `from,to;from,to`, with `\,` for a comma in a tag.
    #[arg(long, value_name = "PAIRS", allow_hyphen_values = true)]
    pub tag_replacement: Option<String>,
    /// Makes `name_(series)` of characters two tags, `name` and `series`.
    #[arg(long)]
    pub character_tag_expand: bool,
    /// Characters come before the rest.
    #[arg(long)]
    pub character_tags_first: bool,
    /// Tags that come to the front if they are found, one after the other.
    #[arg(long, value_name = "TAGS", allow_hyphen_values = true)]
    pub always_first_tags: Option<String>,
    /// Writes the rating first.
    #[arg(long)]
    pub use_rating_tags: bool,
    /// Writes the rating last.
    #[arg(long)]
    pub use_rating_tags_as_last_tag: bool,
    /// Writes the quality first, behind the rating.
    #[arg(long)]
    pub use_quality_tags: bool,
    /// Writes the quality last, before the rating.
    #[arg(long)]
    pub use_quality_tags_as_last_tag: bool,
    /// What stands between tags.
    #[arg(long, value_name = "TEXT", default_value = ", ", hide_default_value = true, allow_hyphen_values = true)]
    pub caption_separator: String,
    /// The words that call what is trained, which are kept first and written into new captions. [default: what most captions
    /// of a folder begin with]
    #[arg(long, value_name = "TAGS", allow_hyphen_values = true)]
    pub activation_tag: Option<String>,
}

/// What is written, and where.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "What is written")]
pub struct OutputArgs {
    /// What becomes of captions that are there: keep, only_empty (writes into empty ones), append (adds what they lack) or
    /// replace. `lorabake tags undo` takes any of it back.
    #[arg(long, value_name = "WAY", default_value = "keep", value_parser = ["keep", "only_empty", "append", "replace"])]
    pub existing: String,
    /// The same as --existing append.
    #[arg(long, conflicts_with = "existing")]
    pub append_tags: bool,
    /// Suffix of caption files. [default: .txt, and .caption where that is there]
    #[arg(long, value_name = "SUFFIX", alias = "caption_extention")]
    pub caption_extension: Option<String>,
    /// Writes no captions, but all of them into one file, .json or .jsonl, as sd-scripts does.
    #[arg(long, value_name = "FILE")]
    pub output_path: Option<PathBuf>,
    /// Keeps the scores of all images in this file (.jsonl), and takes from it what it has: thresholds can be moved without
    /// looking at the images again.
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,
    /// Shows what would be written, and writes no captions.
    #[arg(long)]
    pub dry_run: bool,
    /// Shows how often each tag was found.
    #[arg(long)]
    pub frequency_tags: bool,
}

/// What is accepted for command lines of sd-scripts.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "For command lines of sd-scripts")]
pub struct AcceptedArgs {
    /// With --repo_id: where sd-scripts keeps its taggers.
    #[arg(long, value_name = "FOLDER", requires = "repo_id")]
    pub model_dir: Option<PathBuf>,
    /// A tagger by its name on Hugging Face, in --model_dir; nothing is downloaded.
    #[arg(long, value_name = "NAME")]
    pub repo_id: Option<String>,
    /// Without effect: all folders are looked into.
    #[arg(long)]
    pub recursive: bool,
    /// Without effect: taggers are always ONNX files.
    #[arg(long)]
    pub onnx: bool,
    /// Without effect: nothing is downloaded.
    #[arg(long)]
    pub force_download: bool,
    /// Without effect; --threads sets how many work.
    #[arg(long, value_name = "WORKERS")]
    pub max_data_loader_n_workers: Option<u32>,
    /// Without effect; --dry_run shows captions.
    #[arg(long)]
    pub debug: bool,
}

fn score(text: &str) -> Result<f32, String> {
    let score: f32 = text.parse().map_err(|_| format!("{text} is no number"))?;
    if score < LEAST_KEPT || !score.is_finite() {
        return Err(format!("{text} is below {LEAST_KEPT}, where nothing is certain; use {LEAST_KEPT} to 1"));
    }
    Ok(score)
}

fn resampling(name: &str) -> Result<Resampling, String> {
    Resampling::of_name(name).ok_or_else(|| format!("there is no `{name}`; use area, bicubic, bilinear or lanczos"))
}

impl TaggerArgs {
    /// Sets how many threads work.
    ///
    /// # Errors
    /// When that was done before.
    pub fn set_threads(&self) -> Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
        }
        Ok(())
    }
}

impl AcceptedArgs {
    /// The tagger's folder as sd-scripts keeps it: `NAME/NAME` is `NAME_NAME`, what follows a folder in it.
    ///
    /// # Errors
    /// When the name is none of Hugging Face.
    pub fn model(&self) -> Result<Option<PathBuf>> {
        let Some(name) = &self.repo_id else { return Ok(None) };
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() < 2
            || parts.iter().any(|part| part.is_empty() || part.starts_with('.') || part.contains(['\\', ':']))
        {
            bail!(
                "--repo_id {name}: it is no name on Hugging Face, such as SmilingWolf/wd-vit-tagger-v3; give --model FOLDER"
            );
        }
        let folder = self.model_dir.clone().unwrap_or_else(|| PathBuf::from("wd14_tagger_model"));
        let mut path = folder.join(format!("{}_{}", parts[0], parts[1]));
        path.extend(&parts[2..]);
        if !path.is_dir() {
            bail!(
                "--repo_id {name}: there is no folder {}, and nothing is downloaded; put model.onnx and its list of tags there, \
                 or give --model FOLDER",
                path.display()
            );
        }
        Ok(Some(path))
    }
}

impl ChoiceArgs {
    /// The thresholds that were typed.
    pub fn wanted(&self) -> BTreeMap<Category, f32> {
        let mut wanted = BTreeMap::new();
        if let Some(all) = self.thresh {
            wanted.extend(Category::ALL.map(|category| (category, all)));
        }
        for (category, typed) in [
            (Category::General, self.general_threshold),
            (Category::Character, self.character_threshold),
            (Category::Copyright, self.copyright_threshold),
            (Category::Artist, self.artist_threshold),
            (Category::Meta, self.meta_threshold),
            (Category::Model, self.model_threshold),
        ] {
            if let Some(typed) = typed {
                wanted.insert(category, typed);
            }
        }
        wanted
    }

    /// How the rest is cut.
    pub fn cut(&self) -> Cut {
        if self.mcut { Cut::LargestGap } else { Cut::Threshold }
    }
}

impl WordArgs {
    /// What separates tags where they are read.
    pub fn separator(&self) -> &str {
        self.caption_separator.trim()
    }

    fn list(&self, text: &str) -> Vec<String> {
        let parts = if self.separator().is_empty() { vec![text] } else { text.split(self.separator()).collect() };
        parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    }

    /// How tags become words.
    ///
    /// # Errors
    /// When the replacements are no pairs.
    pub fn wording(&self, choice: &ChoiceArgs) -> Result<Wording> {
        let replacements = Replacement::read_all(self.tag_replacement.as_deref().unwrap_or_default());
        let place = |first: bool, last: bool| match (first, last) {
            (true, _) => Some(Place::First),
            (_, true) => Some(Place::Last),
            _ => None,
        };
        Ok(Wording {
            underscores: match (self.keep_underscore, self.remove_underscore) {
                (true, _) => Underscores::Keep,
                (_, true) => Underscores::Kohya,
                _ => Underscores::Spaces,
            },
            escapes: self.escape,
            expands_characters: self.character_tag_expand,
            undesired: self.list(&choice.undesired_tags),
            replacements: replacements.map_err(|why| anyhow!("--tag_replacement: {why}"))?,
            order: if self.tag_order == "list" { Order::List } else { Order::Probability },
            characters_first: self.character_tags_first,
            rating: place(self.use_rating_tags, self.use_rating_tags_as_last_tag),
            quality: place(self.use_quality_tags, self.use_quality_tags_as_last_tag),
            first: self.list(self.always_first_tags.as_deref().unwrap_or_default()),
            most: choice.max_tags,
        })
    }
}

impl OutputArgs {
    /// What becomes of captions that are there.
    pub fn existing(&self) -> Existing {
        match self.existing.as_str() {
            _ if self.append_tags => Existing::Append,
            "only_empty" => Existing::OnlyEmpty,
            "append" => Existing::Append,
            "replace" => Existing::Replace,
            _ => Existing::Keep,
        }
    }

    /// The suffix of caption files with its dot, if one was typed.
    pub fn extension(&self) -> Option<String> {
        let typed = self.caption_extension.as_deref()?;
        Some(if typed.starts_with('.') { typed.to_owned() } else { format!(".{typed}") })
    }
}

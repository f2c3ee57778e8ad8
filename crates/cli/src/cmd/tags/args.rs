//! The words of `lorabake tags`.

use super::past;
use super::scope::Scope;

/// What follows `lorabake tags`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
#[command(rename_all = "kebab-case")]
pub enum What {
    /// Show all tags: how many captions have them and have them not, which are stuck to the subject, which stand alone
    List(List),
    /// Add tags where they are missing
    Add(Add),
    /// Take tags out
    Remove(Remove),
    /// Write tags, or parts of them, otherwise
    Replace(Replace),
    /// Move tags to the front, behind the activation tag
    MoveFirst(MoveFirst),
    /// Take out tags that a caption has twice, and empty ones
    Dedupe(Target),
    /// Show which tags say the same thing twice, as `boots, red footwear, red boots` do, and make one of them
    Consolidate(Consolidate),
    /// Sort the tags of each caption, behind the activation tag
    Sort(Sort),
    /// Put tags first in every caption, also where they are missing, and into new captions: the activation tags
    Prefix(Prefix),
    /// Take back the last change of a data set, also after days, also of images
    Undo(past::Undo),
    /// Do again what was undone last
    Redo(past::Past),
    /// Show what was done
    History(past::Past),
}

/// Which captions are changed, and whether.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Target {
    #[command(flatten)]
    pub scope: Scope,
    /// Shows what would change, and changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Shows every caption that would change, not only the first 20.
    #[arg(long, requires = "dry_run")]
    pub all: bool,
    /// Changes captions of sentences too, as if they were tags.
    #[arg(long)]
    pub prose: bool,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct List {
    #[command(flatten)]
    pub scope: Scope,
    /// The order.
    #[arg(long, value_enum, default_value_t = ListOrder::Count)]
    pub sort: ListOrder,
    /// How many tags are shown; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub top: usize,
    /// Prints JSON, always of all tags.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ListOrder {
    /// Tags of most captions first
    Count,
    /// By the alphabet
    Name,
    /// Tags of fewest captions first
    Rare,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Add {
    #[command(flatten)]
    pub target: Target,
    /// The tags. Captions that have them stay; images without a caption get one, with the activation tag first.
    #[arg(value_name = "TAG", required = true)]
    pub tags: Vec<String>,
    /// Puts them at the front, behind the activation tag, and not at the end.
    #[arg(long, conflicts_with = "at")]
    pub front: bool,
    /// Puts them before the tag of this number, counted from 1.
    #[arg(long, value_name = "N")]
    pub at: Option<usize>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Remove {
    #[command(flatten)]
    pub target: Target,
    /// The tags. `*` stands for any letters, `?` for one, as in "*background".
    #[arg(value_name = "TAG", required = true)]
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Replace {
    #[command(flatten)]
    pub target: Target,
    /// What is looked for.
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// What is written instead; "" takes it out. A tag that a caption has already is not written twice.
    #[arg(value_name = "NEW")]
    pub with: String,
    /// Takes TEXT for a regular expression; `$1` in NEW is its first group.
    #[arg(long)]
    pub regex: bool,
    /// Where it is looked for.
    #[arg(long, value_enum, default_value_t = ScopeName::Tag)]
    pub scope: ScopeName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ScopeName {
    /// Whole tags, whatever their case and whether with `_` or spaces
    Tag,
    /// Anywhere inside each tag, letter by letter
    Within,
    /// Anywhere in the caption as one text
    Caption,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct MoveFirst {
    #[command(flatten)]
    pub target: Target,
    /// The tags, in their order.
    #[arg(value_name = "TAG", required = true)]
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Consolidate {
    #[command(flatten)]
    pub target: Target,
    /// Does what is proposed; without it the proposals are shown only.
    #[arg(long)]
    pub apply: bool,
    /// Does only what makes these tags; may be given several times. `*` and `?` stand for letters.
    #[arg(long, value_name = "TAG")]
    pub keep: Vec<String>,
    /// Leaves out what makes these tags; may be given several times.
    #[arg(long, value_name = "TAG")]
    pub skip: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Sort {
    #[command(flatten)]
    pub target: Target,
    /// The order.
    #[arg(long, value_enum, default_value_t = OrderName::Name)]
    pub by: OrderName,
    /// So many tags at the beginning stay where they are, beside the activation tag.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OrderName {
    /// By the alphabet
    Name,
    /// Tags of most captions first
    Count,
    /// Short tags first
    Length,
    /// The other way round than they are
    Reverse,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Prefix {
    #[command(flatten)]
    pub target: Target,
    /// The activation tags, in their order.
    #[arg(value_name = "TAG", required = true)]
    pub tags: Vec<String>,
}

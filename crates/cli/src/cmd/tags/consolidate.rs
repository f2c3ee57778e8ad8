//! `lorabake tags consolidate`: proposals first, then what is accepted of them.

use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_recipe::count;
use lorabake_tags::change::{Change, Proposal, proposals};
use lorabake_tags::filter::Pattern;
use lorabake_tags::text::folded;

use super::act;
use super::args::Consolidate;
use crate::terminal::{self, Shown};

pub(super) fn run(args: &Consolidate) -> Result<ExitCode> {
    let found = args.target.scope.find()?;
    let all = proposals(found.entries().map(|entry| (&entry.caption, found.set.activation(entry))));
    if all.is_empty() {
        terminal::say(&format!("no tags say the same thing twice in {}", count(found.taken.len(), "caption")));
        return Ok(ExitCode::SUCCESS);
    }
    let keep = patterns(&args.keep);
    let skip = patterns(&args.skip);
    let mut accepted = Vec::new();
    for proposal in &all {
        let tag = folded(&proposal.keep);
        let is_kept = keep.is_empty() || keep.iter().any(|pattern| pattern.is(&tag));
        if is_kept && !skip.iter().any(|pattern| pattern.is(&tag)) {
            accepted.push(proposal.clone());
        }
    }
    if accepted.is_empty() {
        let proposals = count(all.len(), "proposal");
        if keep.is_empty() {
            terminal::say(&format!("--skip leaves none of {proposals}; nothing was changed"));
            return Ok(ExitCode::SUCCESS);
        }
        bail!("--keep: none of the {proposals} makes such a tag; run it without --keep to see them");
    }
    if args.apply || args.target.dry_run {
        return act::on_found("consolidate", &Change::Consolidate(accepted), &args.target, found);
    }
    for proposal in &accepted {
        terminal::result(&line(proposal));
    }
    terminal::say(&format!(
        "{}; nothing was written; --dry_run shows the captions, --apply makes them so, --keep and --skip choose",
        count(accepted.len(), "proposal")
    ));
    Ok(ExitCode::SUCCESS)
}

fn patterns(words: &[String]) -> Vec<Pattern> {
    words.iter().map(|word| Pattern::new(word)).collect()
}

/// `red boots  ←  boots (12), red footwear (9)   in 14 captions`.
fn line(proposal: &Proposal) -> String {
    let drop: Vec<String> = proposal.drop.iter().map(|(tag, times)| format!("{} ({times})", Shown(tag))).collect();
    format!("{}  ←  {}  in {}", Shown(&proposal.keep), drop.join(", "), count(proposal.captions, "caption"))
}

//! `lorabake tags`: looks at the tags of a folder of captions, and changes them, through a journal.

mod act;
mod args;
mod consolidate;
mod difference;
mod list;
pub mod past;
pub mod scope;

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use lorabake_tags::change::{Change, Find, Order, Place, Replacement, Scope as In};
use lorabake_tags::filter::Pattern;
use lorabake_tags::text::tags_of;

pub use args::Args;
use args::{Add, MoveFirst, OrderName, Remove, Replace, ScopeName, Sort, What};

/// Does what is asked.
///
/// # Errors
/// Whatever is wrong with options, folders or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::List(list) => list::run(list),
        What::Add(add) => act::run("add", &added(add)?, &add.target),
        What::Remove(remove) => removed(remove),
        What::Replace(replace) => act::run("replace", &replaced(replace)?, &replace.target),
        What::MoveFirst(MoveFirst { target, tags }) => {
            act::run("move-first", &Change::MoveFirst(given(tags, target)?), target)
        }
        What::Dedupe(target) => act::run("dedupe", &Change::Dedupe, target),
        What::Consolidate(consolidate) => consolidate::run(consolidate),
        What::Sort(sort) => act::run("sort", &sorted(sort), &sort.target),
        What::Prefix(prefix) => {
            let tags = given(&prefix.tags, &prefix.target)?;
            let mut target = prefix.target.clone();
            target.scope.activation = Some(tags.join(target.scope.separator()));
            act::run("prefix", &Change::Prefix, &target)
        }
        What::Undo(undo) => past::undo(undo),
        What::Redo(redo) => past::redo(redo),
        What::History(history) => past::history(history),
    }
}

/// The tags that a user named, each of which may be several.
fn given(words: &[String], target: &args::Target) -> Result<Vec<String>> {
    let mut tags = Vec::new();
    for word in words {
        if word.contains(['\n', '\r']) {
            bail!("TAG: it holds a line break; only the first line of a caption is trained, so leave it out");
        }
        tags.extend(tags_of(word, target.scope.separator()).into_iter().map(str::to_owned));
    }
    if tags.is_empty() {
        bail!("TAG: it is empty; write a tag, such as \"red boots\"");
    }
    Ok(tags)
}

fn added(add: &Add) -> Result<Change> {
    let place = match (add.front, add.at) {
        (true, _) => Place::Front,
        (false, Some(0)) => bail!("--at: tags are counted from 1; write 1 or more"),
        (false, Some(number)) => Place::At(number),
        (false, None) => Place::Back,
    };
    Ok(Change::Add { tags: given(&add.tags, &add.target)?, place })
}

fn removed(remove: &Remove) -> Result<ExitCode> {
    let tags = given(&remove.tags, &remove.target)?;
    let patterns: Vec<Pattern> = tags.iter().map(|tag| Pattern::new(tag)).collect();
    act::run("remove", &Change::Remove(patterns), &remove.target)
}

fn replaced(replace: &Replace) -> Result<Change> {
    if replace.text.is_empty() {
        bail!("TEXT: it is empty; write what is to be replaced");
    }
    for (what, text) in [("TEXT", &replace.text), ("NEW", &replace.with)] {
        if text.contains(['\n', '\r']) {
            bail!("{what}: it holds a line break; only the first line of a caption is trained, so leave it out");
        }
    }
    let find = if replace.regex {
        Find::regex(&replace.text).map_err(|problem| anyhow!("TEXT: {problem}"))?
    } else {
        Find::Text(replace.text.clone())
    };
    let scope = match replace.scope {
        ScopeName::Tag => In::Tag,
        ScopeName::Within => In::Within,
        ScopeName::Caption => In::Caption,
    };
    let replacement = Replacement::new(find, &replace.with, scope).map_err(|problem| anyhow!("NEW: {problem}"))?;
    Ok(Change::Replace(replacement))
}

fn sorted(sort: &Sort) -> Change {
    let order = match sort.by {
        OrderName::Name => Order::Name,
        OrderName::Count => Order::Count,
        OrderName::Length => Order::Length,
        OrderName::Reverse => Order::Reverse,
    };
    Change::Sort { order, keep: sort.keep }
}

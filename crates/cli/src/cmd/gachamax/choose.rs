//! The choice among the candidates of a round: by a folder, in the terminal, or by likeness.

use std::io::{BufRead, ErrorKind, Read};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::Result;
use lorabake_judge::gachamax::{Best, Candidate, Taken, Workshop, best};
use lorabake_recipe::count;

use super::Args;
use crate::stop;
use crate::terminal::{self, Shown};

/// More bytes than any answer has.
const LONGEST: u64 = 64 << 10;

/// How often it is looked for Ctrl-C.
const PAUSE: Duration = Duration::from_millis(50);

/// Who chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pick {
    /// The user, by deleting from the folder.
    Folder,
    /// The user, in the terminal.
    Ask,
    /// The most alike.
    Best,
    /// Nobody: all are kept.
    All,
}

/// How a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The round has its images.
    Made,
    /// No candidate is good.
    None,
    /// The user is to look at them first.
    Later,
    /// The user has stopped the program.
    Stopped,
}

/// Has the candidates of round `index` chosen; `is_new` if they were painted just now.
///
/// # Errors
/// When files cannot be read or moved.
pub fn choose(args: &Args, workshop: &mut Workshop, index: usize, is_new: bool) -> Result<Choice> {
    let round = &workshop.run.rounds[index];
    if !round.kept.is_empty() {
        // The choice was cut off while files were moved.
        let kept = round.kept.clone();
        workshop.choose(index, &kept)?;
        return Ok(Choice::Made);
    }
    let left = workshop.left(index)?;
    if left.is_empty() {
        return Ok(Choice::None);
    }
    if is_new || args.pick == Pick::Ask {
        tell_ranking(&round.candidates, &captions(workshop)?);
    }
    let keep = match args.pick {
        Pick::All => names(&left),
        Pick::Best => {
            let usual = if index == 0 { 1 } else { 2 };
            let keep = args.keep.map_or(usual, usize::from);
            let mut there = round.candidates.clone();
            let mut own = names(&left);
            there.retain(|candidate| own.contains(&candidate.file));
            let Best { mut keep, passed_over } = best(&there, &captions(workshop)?, keep);
            tell_passed_over(index, &passed_over);
            workshop.run.rounds[index].passed_over = passed_over;
            // What the user has put there stays.
            own.retain(|name| there.iter().all(|candidate| candidate.file != *name));
            keep.extend(own);
            keep
        }
        Pick::Folder => {
            let all_there = is_untouched(&round.candidates, &left);
            if is_new || all_there {
                tell_folder(workshop, index, is_new);
                return Ok(Choice::Later);
            }
            names(&left)
        }
        Pick::Ask => match ask(workshop, index, &left)? {
            Answer::Keep(keep) => keep,
            Answer::Nothing => {
                workshop.reject_all_but(index, &[])?;
                return Ok(Choice::None);
            }
            Answer::Stop => return Ok(Choice::Stopped),
            Answer::End => {
                tell_folder(workshop, index, true);
                return Ok(Choice::Later);
            }
        },
    };
    if keep.is_empty() {
        return Ok(Choice::None);
    }
    workshop.choose(index, &keep)?;
    let list = Shown(keep.join(", ")).to_string();
    terminal::say(&format!("round {}: kept {}: {list}", index + 1, count(keep.len(), "picture")));
    Ok(Choice::Made)
}

fn names(images: &[Taken]) -> Vec<String> {
    let name = |image: &Taken| image.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    images.iter().map(name).collect()
}

/// Whether the folder holds just what was painted.
fn is_untouched(candidates: &[Candidate], left: &[Taken]) -> bool {
    let names = names(left);
    names.len() == candidates.len() && candidates.iter().all(|candidate| names.contains(&candidate.file))
}

/// Captions of the images that are trained on already.
fn captions(workshop: &Workshop) -> Result<Vec<String>> {
    Ok(workshop.images()?.into_iter().map(|image| image.caption).collect())
}

/// Which candidates were not kept though they are more alike than one that was.
fn tell_passed_over(index: usize, files: &[String]) {
    if files.is_empty() {
        return;
    }
    let list = Shown(files.join(", ")).to_string();
    terminal::say(&format!(
        "round {}: passed over {list}: more alike, but of a caption that is kept or trained on already",
        index + 1
    ));
}

/// The candidates, the most alike first; `trained` are the captions of what is trained on already.
fn tell_ranking(candidates: &[Candidate], trained: &[String]) {
    let mut order: Vec<&Candidate> = candidates.iter().collect();
    let worth = |candidate: &Candidate| candidate.likeness.unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|one, other| worth(other).total_cmp(&worth(one)));
    let mut lines = String::from("likeness to the original:");
    for candidate in order {
        let mark = if trained.contains(&candidate.caption) { "  (a caption that is trained on already)" } else { "" };
        let caption = Shown(&candidate.caption);
        lines += &format!("\n  {:>5.2}  {}  {caption}{mark}", worth(candidate), candidate.file);
    }
    terminal::say_lines(&lines);
}

/// What the user is to do now.
fn tell_folder(workshop: &Workshop, index: usize, is_new: bool) {
    let folder = workshop.candidates(index).display().to_string();
    let again = if is_new { "" } else { "nothing was taken out of it; " };
    terminal::result(&format!(
        "{}  {again}delete or move away what does not look right, edit or add what you like, and give the same command \
         again; to keep all add --pick all",
        Shown(folder)
    ));
}

/// What the user answered.
enum Answer {
    /// Names of files.
    Keep(Vec<String>),
    /// None is good.
    Nothing,
    /// The user said nothing, or nobody is there.
    End,
    /// Ctrl-C.
    Stop,
}

/// Asks in the terminal.
fn ask(workshop: &Workshop, index: usize, left: &[Taken]) -> Result<Answer> {
    let names = names(left);
    let folder = workshop.candidates(index).display().to_string();
    loop {
        terminal::say_lines(&format!(
            "{}\nWhich to keep? Numbers of their names, such as 1 4 7; none for other ones; Enter to decide later:",
            Shown(&folder)
        ));
        let line = match line()? {
            Line::Text(line) if !line.trim().is_empty() => line,
            Line::Text(_) | Line::Nothing => return Ok(Answer::End),
            Line::Stop => return Ok(Answer::Stop),
        };
        if line.trim() == "none" {
            return Ok(Answer::Nothing);
        }
        match chosen(&line, &names) {
            Ok(keep) => return Ok(Answer::Keep(keep)),
            Err(word) => terminal::say(&format!("there is no picture `{}`", Shown(word))),
        }
    }
}

/// What came from stdin.
enum Line {
    Text(String),
    /// Its end.
    Nothing,
    /// Ctrl-C.
    Stop,
}

/// Waits for a line of stdin, or for Ctrl-C; what is no text in it names no picture.
fn line() -> Result<Line> {
    let wished = stop::wished()?;
    let (send, lines) = channel();
    // A thread of its own, since what waits for a line hears no Ctrl-C.
    std::thread::spawn(move || {
        let mut line = Vec::new();
        let read = std::io::stdin().lock().take(LONGEST).read_until(b'\n', &mut line);
        // Nobody listens any longer after Ctrl-C.
        let _ = send.send(read.map(|_| line));
    });
    loop {
        let read = match lines.recv_timeout(PAUSE) {
            Ok(read) => read,
            Err(_) if wished.load(Ordering::Relaxed) => return Ok(Line::Stop),
            Err(_) => continue,
        };
        return match read {
            Ok(line) if line.is_empty() => Ok(Line::Nothing),
            Ok(line) => Ok(Line::Text(String::from_utf8_lossy(&line).into_owned())),
            // Windows' console refuses halves of characters.
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Line::Text("\u{fffd}".to_owned())),
            Err(error) => Err(error.into()),
        };
    }
}

/// The files that an answer means: by number, by name, or by name without suffix.
fn chosen(line: &str, names: &[String]) -> Result<Vec<String>, String> {
    let mut keep = Vec::new();
    for word in line.split([' ', ',', '\t', '\n', '\r']).filter(|word| !word.is_empty()) {
        let number: Option<u64> = word.parse().ok();
        let is_it = |name: &&String| {
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            *name == word || stem == word || (number.is_some() && stem.parse().ok() == number)
        };
        let Some(name) = names.iter().find(is_it) else { return Err(word.to_owned()) };
        if !keep.contains(name) {
            keep.push(name.clone());
        }
    }
    Ok(keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_pictures() {
        let names = ["01.png", "02.png", "12.png", "mine.jpg"].map(str::to_owned);
        assert_eq!(chosen("1, 12 mine 01.png\n", &names).unwrap(), ["01.png", "12.png", "mine.jpg"]);
        assert_eq!(chosen("3", &names).unwrap_err(), "3");
    }
}

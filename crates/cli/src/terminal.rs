//! The one way to the terminal: all words of the program leave it here, on stdout or stderr.
//!
//! What cannot be printed is dropped: a closed window or a pipe that nobody reads any more is no reason to end a
//! training. What could give a terminal orders is shown as text, `\x1b`, wherever it came from: names, captions and
//! metadata are a stranger's. Text from elsewhere goes into a line as [`Shown`], so that it cannot end the line either.

use std::fmt::{self, Display, Formatter, Write as _};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a result could not be written though somebody was there to read it, as on a full disk.
static LOST: AtomicBool = AtomicBool::new(false);

/// A text on one line: line breaks are shown as `\n`, and what a terminal would obey as `\x1b` or `\u{202e}`.
pub struct Shown<T>(pub T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping { out: f, keeps_lines: false }, "{}", self.0)
    }
}

/// Passes text on with its commands made visible.
struct Escaping<W> {
    out: W,
    /// Line breaks and tabs stay what they are.
    keeps_lines: bool,
}

impl<W: fmt::Write> fmt::Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((start, command)) = rest.char_indices().find(|(_, symbol)| self.hides(*symbol)) {
            self.out.write_str(&rest[..start])?;
            match command {
                '\n' => self.out.write_str("\\n")?,
                '\r' => self.out.write_str("\\r")?,
                '\t' => self.out.write_str("\\t")?,
                control if control.is_control() => write!(self.out, "\\x{:02x}", u32::from(control))?,
                mark => write!(self.out, "\\u{{{:x}}}", u32::from(mark))?,
            }
            rest = &rest[start + command.len_utf8()..];
        }
        self.out.write_str(rest)
    }
}

impl<W> Escaping<W> {
    fn hides(&self, symbol: char) -> bool {
        is_command(symbol) && !(self.keeps_lines && matches!(symbol, '\n' | '\t'))
    }
}

/// Control characters (C0, DEL, C1), marks that turn the direction of text, and Unicode's own line breaks.
fn is_command(symbol: char) -> bool {
    symbol.is_control()
        || matches!(symbol, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(symbol, '\u{2028}' | '\u{2029}')
}

/// Text of several lines, harmless.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut escaping = Escaping { out: &mut shown, keeps_lines: true };
    escaping.write_str(text).expect("a string takes all");
    shown
}

/// The longest line that is told whole, in bytes.
const LONGEST: usize = 8 * 1024;

/// Prints one line on stderr. Of a line that holds a whole file, as where a name has no end, begin and end are printed.
pub fn say(line: &str) {
    let line = Shown(line).to_string();
    if line.len() <= LONGEST {
        return say_lines(&line);
    }
    let begin = &line[..line.floor_char_boundary(LONGEST / 2)];
    let end = &line[line.ceil_char_boundary(line.len() - LONGEST / 2)..];
    say_lines(&format!("{begin} … {} bytes … {end}", line.len() - begin.len() - end.len()));
}

/// Lines of one kind that are printed at most.
const SOME: usize = 10;

/// Prints the first of `lines` on stderr, and how many more there are.
pub fn say_some(lines: impl ExactSizeIterator<Item = String>) {
    let count = lines.len();
    lines.take(SOME).for_each(|line| say(&line));
    if count > SOME {
        say(&format!("… and {} more", count - SOME));
    }
}

/// Prints lines of our own on stderr; what they hold from elsewhere went into them as [`Shown`].
pub fn say_lines(text: &str) {
    let mut line = harmless(text);
    line.push('\n');
    // In one piece, so that lines of several threads do not mix.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Prints a result on stdout, of one line or several lines of our own.
pub fn result(text: &str) {
    write_out(&harmless(text));
}

/// Prints what another program may read, a recipe or a script: as it is, unless it goes to a terminal.
pub fn data(text: &str) {
    if io::stdout().is_terminal() { result(text) } else { write_out(text) }
}

/// Prints JSON or TOML that holds a stranger's words: what a terminal would obey is written in their own escapes.
pub fn quoted_data(text: &str) {
    let mut shown = String::with_capacity(text.len());
    for symbol in text.chars() {
        if is_command(symbol) && symbol != '\n' {
            write!(shown, "\\u{:04x}", u32::from(symbol)).expect("a string takes all");
        } else {
            shown.push(symbol);
        }
    }
    write_out(&shown);
}

/// That nobody reads a result to its end, as with `| head`, is no error; a full disk is told, and [`lost`] says so.
fn write_out(text: &str) {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        say(&format!("note: the output is not whole: it cannot be written ({error})"));
    }
}

/// Whether a result could not be written for another reason than that nobody reads it.
pub fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Has panics told here too: theirs may be a stranger's words, and stderr may be gone.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| say_lines(&panic_lines(panic))));
}

fn panic_lines(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    let words = panic.payload_as_str().unwrap_or("no reason given");
    let told = format!("lorabake itself has failed{place}: {}", Shown(words));
    let trace = std::backtrace::Backtrace::capture();
    match trace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("{told}\n{trace}"),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_as_text() {
        for (text, shown) in [
            ("a cat, 猫, Ä", "a cat, 猫, Ä"),
            ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
            ("\u{7f}\u{9b}2J\0", "\\x7f\\x9b2J\\x00"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{2028}e", "a\\u{202e}b\\u{2066}c\\u{200f}d\\u{2028}e"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
        }
    }

    #[test]
    fn lines_of_our_own_stay_lines() {
        assert_eq!(harmless("a\n\tb\r\x1b[2K\nc"), "a\n\tb\\r\\x1b[2K\nc");
    }

    #[test]
    fn every_command_in_unicode_is_known() {
        let unseen: Vec<u32> = (0..0x3000).filter(|code| char::from_u32(*code).is_some_and(is_command)).collect();
        let ranges = [0..0x20, 0x7f..0xa0, 0x61c..0x61d, 0x200e..0x2010, 0x2028..0x202f, 0x2066..0x206a];
        assert_eq!(unseen, ranges.into_iter().flatten().collect::<Vec<u32>>());
    }
}

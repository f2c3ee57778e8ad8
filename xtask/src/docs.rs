//! `docs/options.md`: the page of all options, written by the program itself from the texts of its `--help`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The page that is generated.
const PAGE: &str = "docs/options.md";

/// Writes the page, or with `--check` compares it with what the program says; true if they agree.
///
/// # Errors
/// If the program does not build or run, or a file cannot be read or written.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    let check = match args {
        [] => false,
        [only] if only == "--check" => true,
        _ => bail!("it takes --check or nothing"),
    };
    let wanted = generated(root)?;
    let path = root.join(PAGE);
    if !check {
        fs::write(&path, wanted).with_context(|| format!("{PAGE} cannot be written"))?;
        println!("wrote {PAGE}");
        return Ok(true);
    }
    let written = fs::read_to_string(&path).with_context(|| format!("{PAGE} cannot be read"))?;
    match difference(&written, &wanted) {
        None => println!("docs: {PAGE} is what the program says"),
        Some(difference) => println!("{difference}\n`cargo xtask docs` writes the page anew"),
    }
    Ok(written == wanted)
}

/// What the program at hand says of its options. It lies beside this one, and is built first if it is not up to date.
fn generated(root: &Path) -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--quiet", "--workspace", "--bin", "lorabake"]).current_dir(root);
    let built = cargo.status().context("cargo does not start")?;
    ensure!(built.success(), "the program does not build");
    let program = std::env::current_exe()?.with_file_name(format!("lorabake{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&program).arg("options").output();
    let output = output.with_context(|| format!("{} does not start", program.display()))?;
    ensure!(output.status.success(), "{} options: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The first line in which the page differs from what it should be.
fn difference(written: &str, wanted: &str) -> Option<String> {
    if written == wanted {
        return None;
    }
    let mut wanted_lines = wanted.lines();
    for (index, is) in written.lines().enumerate() {
        let should_be = wanted_lines.next().unwrap_or("(nothing)");
        if is != should_be {
            return Some(format!("{PAGE}:{}: differs from the program\n- {is}\n+ {should_be}", index + 1));
        }
    }
    let next = wanted_lines.next().unwrap_or("(a line's end)");
    Some(format!("{PAGE}:{}: the program says more\n+ {next}", written.lines().count() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_by_its_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let changed = difference("a\nb\n", "a\nc\n").unwrap();
        assert!(changed.contains("options.md:2:") && changed.contains("- b\n+ c"), "{changed}");
        let longer = difference("a\n", "a\nb\n").unwrap();
        assert!(longer.contains("options.md:2:") && longer.contains("+ b"), "{longer}");
        assert!(difference("a\nb\n", "a\n").unwrap().contains("options.md:2:"));
    }
}

//! `lorabake man`: manual pages in a folder, for those who package the program.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command::program;

/// What follows `lorabake man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder for lorabake.1, lorabake-train.1 and so on; it is made if it is not there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes a page for the program and one for each command.
///
/// # Errors
/// If the folder cannot be made or written to.
pub fn run(args: &Args) -> Result<ExitCode> {
    let failed = || format!("no manual pages can be written into {}", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(failed)?;
    clap_mangen::generate_to(program(), &args.folder).with_context(failed)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        run(&Args { folder: folder.path().join("man") }).unwrap();
        for (page, option) in
            [("lorabake.1", "version"), ("lorabake-train.1", "network_dim"), ("lorabake-plan.1", "seed")]
        {
            let page = std::fs::read_to_string(folder.path().join("man").join(page)).unwrap();
            assert!(page.contains(option), "{page}");
        }
    }
}

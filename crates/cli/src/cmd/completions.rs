//! `lorabake completions`: a script by which a shell completes the program's commands and options.

use std::process::ExitCode;

use anyhow::Result;
use clap_complete::Shell;

use crate::command::program;
use crate::terminal;

/// What follows `lorabake completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that the script is for. Put one of these lines where the shell reads it when it starts: PowerShell:
    /// `lorabake completions powershell | Out-String | Invoke-Expression`; bash: `source <(lorabake completions bash)`;
    /// zsh, after compinit: `source <(lorabake completions zsh)`; fish: `lorabake completions fish | source`.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// None.
pub fn run(args: &Args) -> Result<ExitCode> {
    terminal::data(&script(args.shell));
    Ok(ExitCode::SUCCESS)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program(), "lorabake", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_commands_and_options() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["inspect", "doctor", "network_dim", "cfg_scale"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}

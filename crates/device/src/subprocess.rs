//! A GPU is tried out in a process of its own: a driver that crashes takes that one with it, and not the run.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use lorabake_recipe::train::device::Device as Wanted;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// What a process of its own is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether the device works.
    Works,
    /// What [`try_out`](super::try_out) shows, in words.
    Trial,
}

/// Names the program that tries devices out: `PROGRAM doctor --device KIND:N` says how it went on stdout, `--check` leaves
/// out the speed, and it ends with success if the device works. Without one, devices are tried out in this process.
pub fn tried_by(program: PathBuf) {
    // The first name stays.
    let _ = PROGRAM.set(program);
}

/// What the program says of a device that works; `None` without a program.
///
/// # Errors
/// One line: why the device does not work.
pub fn ask(wanted: Wanted, question: Question) -> Option<Result<String, String>> {
    let mut command = Command::new(PROGRAM.get()?);
    command.arg("doctor").arg(format!("--device={wanted}"));
    if question == Question::Works {
        command.arg("--check");
    }
    Some(answer(command))
}

/// What the process says; its driver's own messages are left out.
fn answer(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.map_err(|error| format!("it could not be tried out ({error})"))?;
    let says = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(says),
        Some(1) if !says.is_empty() => Err(says),
        Some(1 | 2) => Err(format!("it could not be tried out ({})", output.status)),
        _ => Err(format!("its driver crashes ({})", output.status)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_answer_a_refusal_and_a_crash_are_told_apart() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            answer(command)
        };
        assert_eq!(shell("echo works; echo noise >&2"), Ok("works".into()));
        assert_eq!(shell("echo its results differ; exit 1"), Err("its results differ".into()));
        assert_eq!(shell("echo half a; kill -SEGV $$").unwrap_err(), "its driver crashes (signal: 11 (SIGSEGV))");
        assert_eq!(shell("exit 2").unwrap_err(), "it could not be tried out (exit status: 2)");
        let unreachable = answer(Command::new("/no/such/program")).unwrap_err();
        assert!(unreachable.starts_with("it could not be tried out ("), "{unreachable}");
    }
}

//! A GPU is tried out in a process of its own: a driver that crashes or hangs takes that one with it, and not the run.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use lorabake_recipe::train::device::Device as Wanted;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Time between two looks at whether the process has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// What a process of its own is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether the device works.
    Works,
    /// What [`try_out`](super::try_out) shows, in words.
    Trial,
}

impl Question {
    /// Time for an answer. A driver that compiles its first kernels on a slow machine is given time; one that hangs is not.
    fn patience(self) -> Duration {
        match self {
            Self::Works => Duration::from_secs(120),
            Self::Trial => Duration::from_secs(300),
        }
    }
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
    Some(answer(command, question.patience()))
}

/// What the process says within `patience`; its driver's own messages are left out.
fn answer(mut command: Command, patience: Duration) -> Result<String, String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(cannot_try)?;
    let mut stdout = child.stdout.take();
    // Read beside the wait, so that a full pipe does not stop the process.
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(stdout) = &mut stdout {
            stdout.read_to_end(&mut said).unwrap_or_default();
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait().map_err(cannot_try)? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                // If it has ended meanwhile there is nothing left to kill.
                child.kill().and_then(|()| child.wait()).ok();
                return Err(format!("its driver has not answered for {} s", patience.as_secs()));
            }
            None => thread::sleep(PAUSE),
        }
    };
    verdict(status, reader.join().unwrap_or_default())
}

fn verdict(status: ExitStatus, said: String) -> Result<String, String> {
    match status.code() {
        Some(0) => Ok(said),
        Some(1) if !said.is_empty() => Err(said),
        Some(1 | 2) => Err(format!("it could not be tried out ({status})")),
        _ => Err(format!("its driver crashes ({status})")),
    }
}

fn cannot_try(error: std::io::Error) -> String {
    format!("it could not be tried out ({error})")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        answer(command, patience)
    }

    #[test]
    fn an_answer_a_refusal_and_a_crash_are_told_apart() {
        let shell = |script: &str| shell(script, Duration::from_secs(60));
        assert_eq!(shell("echo works; echo noise >&2"), Ok("works".into()));
        assert_eq!(shell("echo its results differ; exit 1"), Err("its results differ".into()));
        assert_eq!(shell("echo half a; kill -SEGV $$").unwrap_err(), "its driver crashes (signal: 11 (SIGSEGV))");
        assert_eq!(shell("exit 2").unwrap_err(), "it could not be tried out (exit status: 2)");
        let long = shell("head -c 300000 /dev/zero | tr '\\0' a").unwrap();
        assert_eq!(long.len(), 300_000);
        let unreachable = answer(Command::new("/no/such/program"), Duration::from_secs(60)).unwrap_err();
        assert!(unreachable.starts_with("it could not be tried out ("), "{unreachable}");
    }

    #[test]
    fn a_driver_that_hangs_is_given_up() {
        let error = shell("exec sleep 600", Duration::from_secs(1)).unwrap_err();
        assert_eq!(error, "its driver has not answered for 1 s");
    }
}

//! Who wishes a training to end: Ctrl-C, a terminal that is closed, a system that shuts down.
//!
//! The first wish ends it with its LoRA saved, a second Ctrl-C at once. Closing a terminal may be told twice, by the
//! system and by the shell, and a batch system repeats itself, so only Ctrl-C is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::terminal;

/// Exit code of a program that Ctrl-C ended.
pub const INTERRUPTED: i32 = 130;

/// Set by the first wish. One for all trainings of the process.
static WISHED: AtomicBool = AtomicBool::new(false);

/// Looks out for wishes from now on; true once there was one.
///
/// # Errors
/// When the system does not let them be seen.
pub fn wished() -> Result<&'static AtomicBool> {
    static WATCHED: OnceLock<Result<(), String>> = OnceLock::new();
    let watched = WATCHED.get_or_init(|| {
        ctrlc::set_handler(pressed).map_err(|error| error.to_string())?;
        system::watch().map_err(|error| error.to_string())
    });
    watched.as_ref().map_err(|error| anyhow!("Ctrl-C cannot be watched: {error}"))?;
    Ok(&WISHED)
}

/// Tells that the wish to end was heard, which may take effect after minutes only.
pub struct Telling {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Telling {
    /// Begins to look for the wish.
    pub fn begin(wished: &'static AtomicBool) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if wished.load(Ordering::Relaxed) {
                    terminal::say("stopping after this step; Ctrl-C again ends at once");
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { is_over, thread }
    }

    /// Ends it.
    pub fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It only tells, so that nothing is lost if it failed.
        let _ = self.thread.join();
    }
}

/// What Ctrl-C does.
fn pressed() {
    if WISHED.swap(true, Ordering::Relaxed) {
        std::process::exit(INTERRUPTED);
    }
}

#[cfg(unix)]
mod system {
    use std::sync::atomic::Ordering;

    use nix::libc::c_int;
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

    use super::WISHED;

    extern "C" fn told(_: c_int) {
        WISHED.store(true, Ordering::Relaxed);
    }

    /// A terminal that is closed sends SIGHUP, a system that shuts down SIGTERM.
    ///
    /// # Errors
    /// None on systems that have these signals.
    pub fn watch() -> nix::Result<()> {
        let action = SigAction::new(SigHandler::Handler(told), SaFlags::SA_RESTART, SigSet::empty());
        for signal in [Signal::SIGHUP, Signal::SIGTERM] {
            // SAFETY: the handler does nothing but store to an atomic, which a signal may do at any moment.
            let before = unsafe { sigaction(signal, &action) }?;
            if matches!(before.handler(), SigHandler::SigIgn) {
                // `nohup` has it ignored, so that a training outlives its terminal.
                // SAFETY: that is what held before.
                unsafe { sigaction(signal, &before) }?;
            }
        }
        Ok(())
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::sync::atomic::Ordering;

    use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
    use windows_sys::core::BOOL;

    use super::WISHED;

    /// Windows calls it on a thread of its own, and ends the process when it returns, or after some five seconds.
    unsafe extern "system" fn told(event: u32) -> BOOL {
        if event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT {
            return 0; // The handler that was there before is asked next.
        }
        WISHED.store(true, Ordering::Relaxed);
        loop {
            // What the training still saves in this time is saved; its end ends this too.
            std::thread::park();
        }
    }

    /// The closing of the window, logging off and shutting down.
    ///
    /// # Errors
    /// When Windows refuses.
    pub fn watch() -> io::Result<()> {
        // SAFETY: `told` may be called at any moment on any thread, for as long as the program runs.
        if unsafe { SetConsoleCtrlHandler(Some(told), 1) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    /// Ctrl-C is all that is known of other systems.
    ///
    /// # Errors
    /// None.
    pub fn watch() -> Result<(), &'static str> {
        Ok(())
    }
}

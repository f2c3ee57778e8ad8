//! Brings a large file to the disk while it is written, so that the disk works meanwhile and not only at the end, when all of
//! it is waited for.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes that are written between two times.
const EVERY: usize = 64 << 20;

/// Brings what was written to the disk, in a thread of its own. Small files never start it.
#[derive(Default)]
pub(super) struct Flusher {
    /// Bytes since the last time.
    waiting: usize,
    worker: Option<Worker>,
}

struct Worker {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flusher {
    /// Takes note of bytes that were written to `file`.
    pub(super) fn wrote(&mut self, file: &File, bytes: usize) {
        self.waiting += bytes;
        if self.waiting < EVERY {
            return;
        }
        self.waiting = 0;
        if self.worker.is_none() {
            self.worker = Worker::start(file);
        }
        if let Some(worker) = &self.worker {
            // Where it is still at work, the next time does for this one.
            worker.wake.try_send(()).ok();
        }
    }

    /// Waits for the thread.
    ///
    /// # Errors
    /// What the disk said: the system tells it once, so that whoever flushes the file afterwards is not told.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        let Some(Worker { wake, thread }) = self.worker.take() else { return Ok(()) };
        drop(wake);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that brings a file to the disk is gone")))
    }
}

impl Drop for Flusher {
    /// Of a file that is given up, too, no handle is left open.
    fn drop(&mut self) {
        self.join().ok();
    }
}

impl Worker {
    /// `None` where the system has no second handle; the file is flushed at its end in any case.
    fn start(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (wake, woken) = sync_channel(1);
        let thread = thread::spawn(move || {
            while woken.recv().is_ok() {
                file.sync_data()?;
            }
            Ok(())
        });
        Some(Self { wake, thread })
    }
}

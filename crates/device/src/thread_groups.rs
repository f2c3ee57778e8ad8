//! The processor's threads in groups that work side by side: images of a batch, or the halves of a guided prediction.
//! That keeps threads busy where single operations are too small to be shared among them.

use burn::tensor::Device;
use lorabake_ops::{is_host, with_busy_pool};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Groups of threads that work side by side.
#[derive(Debug)]
pub struct ThreadGroups {
    pools: Vec<ThreadPool>,
    /// Whether the processor computes; else its threads have nothing to stay awake for.
    on_host: bool,
}

impl ThreadGroups {
    /// One group for each of `parts` that can be computed side by side, or for each thread if there are fewer; a single
    /// group on a GPU, which has no threads of ours.
    pub fn of(device: &Device, parts: usize) -> Self {
        let on_host = is_host(device);
        let groups = if on_host { rayon::current_num_threads().min(parts) } else { 1 };
        Self { on_host, ..Self::new(groups) }
    }

    /// `groups` of the processor's threads, at least one in each.
    pub fn new(groups: usize) -> Self {
        let mut pools = Vec::new();
        if groups > 1 {
            let threads = rayon::current_num_threads();
            for group in 0..groups {
                let share = ((threads + group) / groups).max(1);
                match ThreadPoolBuilder::new().num_threads(share).build() {
                    Ok(pool) => pools.push(pool),
                    // Without threads of its own a group is of no use; the work is then done by all in turn.
                    Err(_) => return Self { pools: Vec::new(), on_host: true },
                }
            }
        }
        Self { pools, on_host: true }
    }

    /// Number of groups.
    pub fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// `work` by all threads as one group; on the processor they stay awake between its operations.
    pub fn whole<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        if self.on_host { with_busy_pool(work) } else { work() }
    }

    /// `work` on each of `parts`, of which there are at most as many as groups, each by a group of its own.
    pub fn each<P: Sync, R: Send>(&self, parts: &[P], work: impl Fn(&P) -> R + Sync) -> Vec<R> {
        let work = &work;
        std::thread::scope(|scope| {
            let mut running = Vec::new();
            for (pool, part) in self.pools.iter().zip(parts) {
                running.push(scope.spawn(move || pool.install(|| work(part))));
            }
            running.into_iter().map(|own| own.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }
}

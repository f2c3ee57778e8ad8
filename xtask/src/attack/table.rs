//! The table of an attack.

/// What became of one kind of attack.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub tried: u64,
    pub crashes: u64,
    pub hangs: u64,
    /// Inputs that took more memory than they should.
    pub over: u64,
    /// In bytes.
    pub most_memory: usize,
    pub longest_ms: u64,
    /// Something else to say.
    pub remark: String,
}

impl Row {
    pub fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, tried: 0, crashes: 0, hangs: 0, over: 0, most_memory: 0, longest_ms: 0, remark: String::new() }
    }

    /// Whether nothing went wrong.
    pub fn is_well(&self) -> bool {
        self.crashes + self.hangs + self.over == 0
    }

    /// The row as it is printed.
    pub fn line(&self) -> String {
        let Self { name, tried, crashes, hangs, over, most_memory, longest_ms, remark } = self;
        let megabytes = *most_memory as f64 / 1e6;
        format!("{name:<14}{tried:>10}{crashes:>9}{hangs:>7}{over:>6}{megabytes:>11.1}{longest_ms:>9}  {remark}")
    }
}

/// What stands above the rows.
pub fn head() -> String {
    let columns = ["attack", "tried", "crashes", "hangs", "over", "most MB", "most ms"];
    let [name, tried, crashes, hangs, over, memory, time] = columns;
    format!("{name:<14}{tried:>10}{crashes:>9}{hangs:>7}{over:>6}{memory:>11}{time:>9}")
}

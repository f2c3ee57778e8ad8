//! Changed inputs into a reader, in a process of its own: a panic is caught there, what ends the process or takes too
//! long is seen from outside, and every input is on disk before it is read.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lorabake_recipe::seed::Seed;
use lorabake_testkit::counting_allocator::peak_of;

use super::mutate::mutated;
use super::readers::{MEMORY, MEMORY_OF_PIXELS, READERS, Reader};
use super::table::Row;

/// An input that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How many times its input a reader may take, beside what it always may.
const MEMORY_TIMES: usize = 64;
/// Exit code of a process whose reader hangs.
const HUNG: i32 = 3;
/// Bad inputs of a kind that are kept for each reader.
const KEPT: u64 = 20;

/// What the process says of itself from time to time, in this order on a line.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    next: u64,
    crashes: u64,
    over: u64,
    most_memory: usize,
    longest_ms: u64,
}

impl Tally {
    fn line(&self) -> String {
        format!("{} {} {} {} {}", self.next, self.crashes, self.over, self.most_memory, self.longest_ms)
    }

    fn read(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [next, crashes, over, most_memory, longest_ms] = numbers[..] else { return None };
        Some(Self { next, crashes, over, most_memory: most_memory as usize, longest_ms })
    }
}

/// Attacks one reader after another for `time` in all; bad inputs go to `folder`.
///
/// # Errors
/// If a process does not start.
pub fn run(seed: u64, time: Duration, folder: &Path) -> Result<Vec<Row>> {
    let share = time / READERS.len() as u32;
    let mut rows = Vec::new();
    for reader in READERS {
        let row = attack(reader, seed, share, folder)?;
        println!("{}", row.line());
        rows.push(row);
    }
    Ok(rows)
}

/// Starts processes for a reader until its time is over; one that ends early has met an input that ends it.
fn attack(reader: &Reader, seed: u64, time: Duration, folder: &Path) -> Result<Row> {
    let folder = folder.join(reader.name.replace(' ', "-"));
    fs::create_dir_all(&folder)?;
    let began = Instant::now();
    let mut row = Row::new(reader.name);
    let mut first = 0;
    while began.elapsed() < time {
        let left = (time - began.elapsed()).as_secs_f64();
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.args(["attack", "--reader", reader.name, &seed.to_string(), &first.to_string(), &left.to_string()]);
        let mut process = command.arg(&folder).stdout(Stdio::piped()).spawn()?;
        let mut tally = Tally { next: first, ..Tally::default() };
        for line in BufReader::new(process.stdout.take().context("its output is piped")?).lines() {
            tally = Tally::read(&line?).unwrap_or(tally);
        }
        let status = process.wait()?;
        row.tried += tally.next - first;
        row.crashes += tally.crashes;
        row.over += tally.over;
        row.most_memory = row.most_memory.max(tally.most_memory);
        row.longest_ms = row.longest_ms.max(tally.longest_ms);
        if status.success() {
            break;
        }
        let hung = status.code() == Some(HUNG);
        let culprit = unfinished(&folder)?.with_context(|| format!("{}: ended by itself ({status})", reader.name))?;
        row.tried += culprit.index + 1 - tally.next.min(culprit.index);
        first = culprit.index + 1;
        if hung && reads_in_time(reader, &culprit.path)? {
            fs::remove_file(&culprit.path)?;
            continue;
        }
        if hung {
            row.hangs += 1
        } else {
            row.crashes += 1
        }
        keep(&culprit.path, if hung { "hang" } else { "end" }, culprit.index)?;
    }
    Ok(row)
}

/// Whether an input that took too long does not do so once more: the machine was busy then.
fn reads_in_time(reader: &Reader, input: &Path) -> Result<bool> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["attack", "--input", reader.name]).arg(input).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = command.spawn()?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if process.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    process.kill()?;
    process.wait()?;
    Ok(false)
}

/// The input that a process was reading when it ended.
struct Unfinished {
    path: PathBuf,
    index: u64,
}

fn unfinished(folder: &Path) -> Result<Option<Unfinished>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let index = path.file_stem().and_then(|stem| stem.to_str()?.strip_prefix("input-")?.parse().ok());
        if let Some(index) = index {
            return Ok(Some(Unfinished { path, index }));
        }
    }
    Ok(None)
}

/// Renames an input to what became of it.
fn keep(input: &Path, what: &str, index: u64) -> Result<()> {
    let suffix = input.extension().unwrap_or_default().to_string_lossy().into_owned();
    Ok(fs::rename(input, input.with_file_name(format!("{what}-{index}.{suffix}")))?)
}

/// The process that `attack` starts: reads inputs number `first` and up for some seconds.
///
/// # Errors
/// If there is no such reader, or the disk is full.
pub fn child(args: &[String], root: &Path) -> Result<bool> {
    let [name, seed, first, seconds, folder] = args else { anyhow::bail!("--reader is for the attack itself") };
    let reader = Reader::named(name).with_context(|| format!("no reader is called {name}"))?;
    let seeds = reader.seeds(root)?;
    let folder = Path::new(folder);
    let seed = Seed(seed.parse()?);
    let time = Duration::from_secs_f64(seconds.parse()?);
    tell_places_of_panics();
    watch_time();
    let allowed = if reader.name == "images" { MEMORY_OF_PIXELS } else { MEMORY };
    let began = Instant::now();
    let mut told = Instant::now();
    let mut tally = Tally { next: first.parse()?, ..Tally::default() };
    while began.elapsed() < time {
        let mut rng = seed.stream("attack", &[tally.next]);
        let of_format = &seeds[(tally.next % seeds.len() as u64) as usize];
        let bytes = mutated(&of_format.inputs, &mut rng);
        let path = folder.join(format!("input-{}.{}", tally.next, of_format.suffix));
        fs::write(&path, &bytes)?;
        let clock = Instant::now();
        SINCE.store(now_ms(), Ordering::SeqCst);
        let read = peak_of(|| catch_unwind(AssertUnwindSafe(|| (reader.read)(&path))));
        SINCE.store(0, Ordering::SeqCst);
        tally.longest_ms = tally.longest_ms.max(clock.elapsed().as_millis() as u64);
        tally.most_memory = tally.most_memory.max(read.bytes);
        let over = read.bytes > allowed + MEMORY_TIMES * bytes.len();
        tally.crashes += u64::from(read.value.is_err());
        tally.over += u64::from(over);
        if read.value.is_err() && tally.crashes <= KEPT {
            keep(&path, "panic", tally.next)?;
        } else if over && tally.over <= KEPT {
            keep(&path, "memory", tally.next)?;
        } else {
            fs::remove_file(&path)?;
        }
        tally.next += 1;
        if told.elapsed() > Duration::from_millis(500) {
            told = Instant::now();
            println!("{}", tally.line());
        }
    }
    println!("{}", tally.line());
    Ok(true)
}

/// Reads one input as a reader of the attack does, to see what a crash was.
///
/// # Errors
/// If there is no such reader or file.
pub fn again(args: &[String]) -> Result<bool> {
    let [name, file] = args else { anyhow::bail!("--input takes the name of a reader and a file") };
    let reader = Reader::named(name).with_context(|| format!("no reader is called {name}"))?;
    let path = Path::new(file);
    ensure!(path.is_file(), "{file}: there is no such file");
    let clock = Instant::now();
    let read = peak_of(|| (reader.read)(path));
    println!("read in {:.1} s with {:.1} MB at most", clock.elapsed().as_secs_f64(), read.bytes as f64 / 1e6);
    Ok(true)
}

/// Says once where each panic comes from.
fn tell_places_of_panics() {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        if TOLD.lock().is_ok_and(|mut told| told.insert(place.clone())) {
            let words = panic.payload_as_str().unwrap_or("no reason given");
            let _ = writeln!(std::io::stderr(), "    panic at {place}: {words}");
        }
    }));
}

/// When the reading of an input began, in milliseconds; 0 between two.
static SINCE: AtomicU64 = AtomicU64::new(0);

fn now_ms() -> u64 {
    static START: Mutex<Option<Instant>> = Mutex::new(None);
    let start = START.lock().map_or_else(|_| Instant::now(), |mut start| *start.get_or_insert_with(Instant::now));
    start.elapsed().as_millis() as u64 + 1
}

/// Ends the process when an input takes too long.
fn watch_time() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let since = SINCE.load(Ordering::SeqCst);
            if since > 0 && now_ms().saturating_sub(since) > PATIENCE.as_millis() as u64 {
                std::process::exit(HUNG);
            }
        }
    });
}

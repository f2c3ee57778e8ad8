//! `cargo xtask attack`: tries to break the program as strangers' files, impatient people and bad days would.
//!
//! Readers get good files with some things wrong (`mutate`), in a process of their own that counts memory (`fuzz`), and with a
//! nightly toolchain those that libFuzzer makes (`guided`). Whole trainings are killed, get a full disk, and print to
//! nobody (`runs`). What breaks something is kept on disk.
//!
//! Not here: what the attack found before; that is a test beside the code that was mended.

mod fuzz;
mod guided;
mod mutate;
mod readers;
mod runs;
mod table;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use guided::Fuzzer;
use lorabake_testkit::counting_allocator::CountingAllocator;
use runs::Bench;
use table::Row;

/// Counts what a reader takes.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What is asked for.
struct Wish {
    minutes: f64,
    seed: u64,
}

/// Attacks for some minutes and prints a table; true if nothing broke.
///
/// # Errors
/// If `args` are not understood, the program does not build, or the disk is full.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    match args.split_first() {
        Some((option, rest)) if option == "--reader" => return fuzz::child(rest, root),
        Some((option, rest)) if option == "--input" => return fuzz::again(rest),
        _ => {}
    }
    let Wish { minutes, seed } = wish(args)?;
    let folder = std::env::temp_dir().join(format!("lorabake-attack-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let bench = Bench::new(root, &folder)?;
    let time = Duration::from_secs_f64(minutes * 60.0);
    println!("seed {seed}; what breaks something is kept in {}\n{}", folder.display(), table::head());
    // The last two take as long as they take.
    let mut rows = Vec::new();
    match Fuzzer::build(root)? {
        Some(fuzzer) => {
            rows.extend(fuzz::run(seed, time.mul_f64(0.35), &folder)?);
            rows.extend(fuzzer.run(root, seed, time.mul_f64(0.35), &folder)?);
        }
        None => rows.extend(fuzz::run(seed, time.mul_f64(0.7), &folder)?),
    }
    let kills = |bench: &Bench| bench.kills(seed, time.mul_f64(0.25));
    for attack in [&kills as &dyn Fn(&Bench) -> Result<Row>, &Bench::full_disk, &Bench::dead_pipes] {
        let row = attack(&bench)?;
        println!("{}", row.line());
        rows.push(row);
    }
    let broken = rows.iter().filter(|row| !row.is_well()).count();
    if broken == 0 {
        fs::remove_dir_all(&folder)?;
        println!("attack: all held");
    } else {
        println!("attack: {broken} did not hold; `cargo xtask attack --input READER FILE` reads one input again");
    }
    Ok(broken == 0)
}

fn wish(args: &[String]) -> Result<Wish> {
    let mut wish = Wish { minutes: 10.0, seed: 1 };
    for pair in args.chunks(2) {
        let [option, value] = pair else { bail!("`{}` takes a value", pair[0]) };
        match option.as_str() {
            "--minutes" => wish.minutes = value.parse().with_context(|| format!("--minutes {value}"))?,
            "--seed" => wish.seed = value.parse().with_context(|| format!("--seed {value}"))?,
            _ => bail!("`{option}` is not known; use --minutes N, --seed N, or --input READER FILE"),
        }
    }
    ensure!(wish.minutes > 0.0 && wish.minutes.is_finite(), "--minutes {}: use a number above 0", wish.minutes);
    Ok(wish)
}

//! Attacks on whole runs: killed at any moment, on a full disk, with nobody who reads what they print.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lorabake_recipe::seed::Seed;
use lorabake_weights::formats::tensor_file::TensorFile;
use rand::Rng;

use super::table::Row;

/// Steps of a training that is killed.
const STEPS: u64 = 12;

/// The program, and where its runs take place.
pub struct Bench {
    program: PathBuf,
    images: PathBuf,
    folder: PathBuf,
}

impl Bench {
    /// Builds the program; runs take place in `folder`.
    ///
    /// # Errors
    /// If it does not build.
    pub fn new(root: &Path, folder: &Path) -> Result<Self> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--workspace", "--bin", "lorabake"]).current_dir(root);
        ensure!(cargo.status().context("cargo does not start")?.success(), "the program does not build");
        // Where this program was built to, the other one was too.
        let beside = std::env::current_exe()?.with_file_name(format!("lorabake{}", std::env::consts::EXE_SUFFIX));
        let images = fs::canonicalize(root.join("examples/sticker"))?;
        let folder = folder.join("runs");
        fs::create_dir_all(&folder)?;
        Ok(Self { program: beside, images, folder })
    }

    /// Kills trainings at random moments until `time` is over; each has to leave whole files behind, and to go on to the
    /// weights of a run that nobody disturbed.
    ///
    /// # Errors
    /// If a program does not start.
    pub fn kills(&self, seed: u64, time: Duration) -> Result<Row> {
        let began = Instant::now();
        let mut row = Row::new("kills");
        let whole = self.fresh("whole")?;
        let clock = Instant::now();
        ensure!(self.training(&whole).status()?.success(), "a training that nobody disturbs fails");
        let length = clock.elapsed();
        let expected = weights(&whole.join("last.safetensors"))?;
        let mut resumed = 0;
        while began.elapsed() < time {
            let out = self.fresh("killed")?;
            let moment = Seed(seed).stream("kill", &[row.tried]).random_range(0.0..1.0);
            let mut child = self.training(&out).spawn()?;
            std::thread::sleep(length.mul_f64(moment));
            child.kill()?;
            child.wait()?;
            row.tried += 1;
            let broken = broken_files(&out)?;
            if !broken.is_empty() {
                println!("    not whole after a kill: {}", broken.join(", "));
                row.crashes += 1;
            }
            let last = out.join("last.safetensors");
            let mut ended = true;
            if !last.is_file() {
                let Some(state) = newest_state(&out)? else { continue };
                resumed += 1;
                ended = self.training(&out).arg("--resume").arg(&state).status()?.success();
            }
            if !ended || weights(&last)? != expected {
                println!("    killed at {moment:.3} of a run: it does not go on to the same weights");
                row.crashes += 1;
            }
        }
        row.remark = format!("{resumed} went on, the others had saved nothing yet or all");
        Ok(row)
    }

    /// Trains on a disk that is full after so many blocks; whatever is on it afterwards is whole.
    ///
    /// # Errors
    /// If a program does not start.
    pub fn full_disk(&self) -> Result<Row> {
        let mut row = Row::new("full disk");
        if !cfg!(unix) {
            row.remark = "not tried: it needs a Unix".to_owned();
            return Ok(row);
        }
        for blocks in [0, 1, 8, 64, 256, 512, 1024, 2048, 4096] {
            let out = self.fresh("full")?;
            let mut training = Command::new("sh");
            training.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]).arg(&self.program);
            Self::add_options(&mut training, &self.images, &out);
            let output = training.current_dir(&self.folder).output()?;
            row.tried += 1;
            let told = String::from_utf8_lossy(&output.stderr);
            let failed_itself = output.status.code().is_none() || told.contains("lorabake itself has failed");
            let broken = broken_files(&out)?;
            if failed_itself || !broken.is_empty() || (!output.status.success() && !told.contains("error: ")) {
                println!("    {blocks} blocks: {} {} {told}", output.status, broken.join(", "));
                row.crashes += 1;
            }
        }
        Ok(row)
    }

    /// Runs commands whose output nobody reads; they end as they would otherwise.
    ///
    /// # Errors
    /// If a program does not start.
    pub fn dead_pipes(&self) -> Result<Row> {
        let mut row = Row::new("dead pipes");
        let lines: [(&[&str], i32); 7] = [
            (&["options"], 0),
            (&["train", "--help"], 0),
            (&["nonsense"], 2),
            (&["inspect", "missing.safetensors"], 1),
            (&["doctor"], 0),
            (&["plan", "--train_data_dir=missing", "--output_dir=out"], 1),
            (&["generate", "--prompt=fox", "--steps=2", "--width=64", "--out=pictures"], 0),
        ];
        for (line, code) in lines {
            let mut command = Command::new(&self.program);
            self.count(&mut row, command.args(line).current_dir(&self.folder), code)?;
        }
        let out = self.fresh("unheard")?;
        self.count(&mut row, &mut self.training(&out), 0)?;
        if !out.join("last.safetensors").is_file() {
            row.crashes += 1;
        }
        Ok(row)
    }

    /// Runs a command whose pipes are closed at once.
    fn count(&self, row: &mut Row, command: &mut Command, code: i32) -> Result<()> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdout = None;
        child.stderr = None;
        row.tried += 1;
        let ended = patiently(&mut child)?;
        if ended != Some(code) {
            println!("    {command:?} ended with {ended:?}, not {code}");
            row.crashes += 1;
        }
        Ok(())
    }

    /// A folder with nothing in it.
    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        Ok(folder)
    }

    /// A short training that saves at every second step.
    fn training(&self, out: &Path) -> Command {
        let mut command = Command::new(&self.program);
        Self::add_options(&mut command, &self.images, out);
        command.current_dir(&self.folder).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn add_options(command: &mut Command, images: &Path, out: &Path) {
        command.arg("train").arg("--train_data_dir").arg(images).arg("--output_dir").arg(out);
        command.args(["--resolution=64", "--network_dim=2", "--learning_rate=1e-3", "--seed=1", "--save_state"]);
        command.arg(format!("--max_train_steps={STEPS}")).arg("--save_every_n_steps=2");
    }
}

/// The exit code of a program, which is ended if it takes minutes; `None` where it has none.
fn patiently(child: &mut Child) -> Result<Option<i32>> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(120) {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    Ok(child.wait()?.code())
}

/// All safetensors files below a folder that cannot be read whole.
fn broken_files(folder: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    if !folder.is_dir() {
        return Ok(broken);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            broken.extend(broken_files(&path)?);
        } else if path.extension().is_some_and(|suffix| suffix == "safetensors")
            && let Err(error) = weights(&path)
        {
            broken.push(format!("{} ({error})", path.display()));
        }
    }
    Ok(broken)
}

/// Names and values of a file.
fn weights(path: &Path) -> Result<Vec<(String, Vec<f32>)>> {
    let file = TensorFile::open(path)?;
    let mut weights = Vec::new();
    for name in file.names() {
        let values = file.read_f32(&name)?;
        weights.push((name, values));
    }
    Ok(weights)
}

/// The state of the latest step.
fn newest_state(folder: &Path) -> Result<Option<PathBuf>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut states = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_state = path.join("lorabake_state.safetensors").is_file();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_state && name.contains("step") {
            states.push(path);
        }
    }
    states.sort();
    Ok(states.pop())
}

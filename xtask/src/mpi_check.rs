//! Two processes that train one LoRA (feature `mpi`): their result is that of one process, and when one is lost the
//! other saves what they have.
//!
//! It builds the program once more with that feature, into a folder of its own, and needs an MPI library and its
//! launcher.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lorabake_weights::formats::tensor_file::TensorFile;

/// The weights agree to this: sums have another order.
const NEAR: f64 = 1e-6;
/// A step of the small model takes a second or so.
const PATIENCE: Duration = Duration::from_secs(300);
const REMEDY: &str = "on Debian: apt-get install libopenmpi-dev openmpi-bin libclang-dev";

/// Builds, and checks both; `true` if all is well.
///
/// # Errors
/// If the program does not build with MPI, or a process does not start or end as it should.
pub fn run(root: &Path) -> Result<bool> {
    let target = root.join("target/mpi");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--workspace", "--features", "lorabake/mpi", "--target-dir"]).arg(&target);
    let built = cargo.current_dir(root).status().context("cargo does not start")?;
    ensure!(built.success(), "the program does not build with MPI ({REMEDY})");
    let out = target.join("check");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let bench = Bench { program: target.join("release/lorabake"), images: root.join("examples/penny"), out };
    let equal = bench.two_equal_one()?;
    let saved = bench.a_lost_process_loses_nothing()?;
    Ok(equal && saved)
}

struct Bench {
    program: PathBuf,
    images: PathBuf,
    out: PathBuf,
}

impl Bench {
    /// Whether two processes give the weights of one that accumulates as many batches.
    fn two_equal_one(&self) -> Result<bool> {
        let one = self.out.join("one");
        let two = self.out.join("two");
        let steps = "--max_train_steps=4";
        self.ends_well(self.alone(&one, &[steps, "--gradient_accumulation_steps=4"]))?;
        self.ends_well(self.launched(&two, &[steps, "--gradient_accumulation_steps=2"]))?;
        let apart = apart(&two.join("last.safetensors"), &one.join("last.safetensors"))?;
        let equal = apart <= NEAR;
        println!("two processes and one: weights {apart:.1e} apart  {}", if equal { "agrees" } else { "DIFFERS" });
        Ok(equal)
    }

    /// Whether the first process saves LoRA and state when the other is killed, and says what goes on from them.
    fn a_lost_process_loses_nothing(&self) -> Result<bool> {
        let out = self.out.join("lost");
        let told = self.out.join("lost.txt");
        let mut command = self.launched(&out, &["--max_train_steps=1000", "--save_every_n_steps=1"]);
        let log = File::create(&told)?;
        let mut launcher = command.stdout(log.try_clone()?).stderr(log).spawn().context(REMEDY)?;
        let ended = self.lose_one(&mut launcher, &out);
        if ended.is_err() {
            // It ends its processes.
            let _ = signal("TERM", launcher.id());
        }
        let ended = ended?;
        let told = fs::read_to_string(&told)?;
        let resumed = told.split_once("--resume ").and_then(|(_, rest)| rest.split_once(" goes on from there"));
        let Some((state, _)) = resumed else {
            println!("a lost process: DIFFERS, the other does not say how to go on:\n{told}");
            return Ok(false);
        };
        ensure!(!ended, "the launcher took a lost process for success");
        let file = state.strip_suffix("-state").map(|name| PathBuf::from(format!("{name}.safetensors")));
        let file = file.context("a state is called after its file")?;
        let step: u64 =
            state.trim_end_matches("-state").rsplit("step").next().and_then(|n| n.parse().ok()).context("a step")?;
        ensure!(TensorFile::open(&file)?.names().len() > 100, "{} holds too little", file.display());
        let more = [format!("--resume={state}"), format!("--max_train_steps={}", step + 1)];
        let more: Vec<&str> = more.iter().map(String::as_str).chain(["--gradient_accumulation_steps=2"]).collect();
        self.ends_well(self.alone(&out, &more))?;
        println!("a lost process: the other saved step {step}, and one process went on from there  agrees");
        Ok(true)
    }

    /// Kills the second process once a step is saved; whether the launcher then ends as if all were well.
    fn lose_one(&self, launcher: &mut Child, out: &Path) -> Result<bool> {
        wait_for("the first snapshot", || {
            let files = fs::read_dir(out).into_iter().flatten().flatten();
            Ok(files.map(|file| file.path()).find(|path| path.extension().is_some_and(|end| end == "safetensors")))
        })?;
        signal("KILL", second_of(launcher.id())?)?;
        wait_for("the end of the other process", || Ok(launcher.try_wait()?)).map(|status| status.success())
    }

    /// The program by itself.
    fn alone(&self, out: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        self.add_options(&mut command, out, more);
        command
    }

    /// Two processes.
    fn launched(&self, out: &Path, more: &[&str]) -> Command {
        let mut command = Command::new("mpirun");
        // Containers are root's and have few cores; and the first process gets time to save.
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.args(["-n", "2", "--oversubscribe", "--mca", "odls_base_sigkill_timeout", "60"]).arg(&self.program);
        self.add_options(&mut command, out, more);
        command
    }

    fn add_options(&self, command: &mut Command, out: &Path, more: &[&str]) {
        let folder = |option: &str, path: &Path| format!("--{option}={}", path.display());
        command.args(["train", &folder("train_data_dir", &self.images), &folder("output_dir", out)]);
        command.args([
            "--device=cpu",
            "--threads=1",
            "--resolution=64",
            "--network_module=networks.lora",
            "--network_dim=4",
        ]);
        command.args(["--caption_extension=.txt", "--cache_latents", "--learning_rate=1e-3", "--seed=1"]).args(more);
    }

    fn ends_well(&self, mut command: Command) -> Result<()> {
        let output = command.output().context(REMEDY)?;
        ensure!(output.status.success(), "{command:?} fails:\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// The second of the processes that Open MPI has launched here.
fn second_of(launcher: u32) -> Result<u32> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if parent == Some(launcher) && environment.split(|byte| *byte == 0).any(|one| one == b"OMPI_COMM_WORLD_RANK=1")
        {
            return Ok(process);
        }
    }
    bail!("the launcher has no second process, or this system has no /proc")
}

fn signal(name: &str, process: u32) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status()?;
    ensure!(status.success(), "process {process} cannot be sent a signal");
    Ok(())
}

/// Looks again and again until there is something.
fn wait_for<R>(what: &str, mut look: impl FnMut() -> Result<Option<R>>) -> Result<R> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(started.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// ‖a − b‖ / ‖b‖ over all tensors of two files, which must have the same.
fn apart(a: &Path, b: &Path) -> Result<f64> {
    let a = TensorFile::open(a)?;
    let b = TensorFile::open(b)?;
    ensure!(a.names() == b.names() && !a.names().is_empty(), "two LoRAs with other tensors");
    let mut apart = 0.0;
    let mut norm = 0.0;
    for name in a.names() {
        for (a, b) in a.read_f32(&name)?.iter().zip(b.read_f32(&name)?) {
            apart += (f64::from(*a) - f64::from(b)).powi(2);
            norm += f64::from(b).powi(2);
        }
    }
    Ok((apart / norm).sqrt())
}

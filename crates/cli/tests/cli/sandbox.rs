//! A folder of its own for every test, runs of the program in it, and what the tests look at afterwards.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder in which the program runs.
pub struct Sandbox {
    folder: TempDir,
}

/// How a run ended.
pub struct Done {
    /// Exit code; −1 if a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The run failed with `code` and one line of error that holds all of `said`.
    pub fn refused(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{}", self.stderr);
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        for said in said {
            assert!(errors[0].contains(said), "{said} is missing in: {}", errors[0]);
        }
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// `count` images of 64 × 64 pixels with captions.
    pub fn images(&self, folder: &str, count: u8) {
        for index in 0..count {
            self.write(&format!("{folder}/{index}.png"), png(index));
            self.write(&format!("{folder}/{index}.txt"), format!("penny, number {index}"));
        }
    }

    /// The options of a short training of `set` into `out`, and `more`.
    pub fn training<'a>(more: &[&'a str]) -> Vec<&'a str> {
        let usual = ["train", "--train_data_dir=set", "--output_dir=out", "--resolution=64", "--network_dim=2"];
        let rest = ["--max_train_steps=2", "--learning_rate=1e-2", "--seed=1"];
        [&usual[..], &rest[..], more].concat()
    }

    pub fn train(&self, more: &[&str]) -> Done {
        self.run(&Self::training(more))
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        self.finish(self.start(arguments))
    }

    /// Runs it for a user whose home folder this is.
    pub fn run_at_home(&self, home: &Path, arguments: &[&str]) -> Done {
        let mut command = self.command(env!("CARGO_BIN_EXE_lorabake"), arguments);
        self.finish(command.env("HOME", home).env("USERPROFILE", home).spawn().unwrap())
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(env!("CARGO_BIN_EXE_lorabake"), arguments).spawn().unwrap()
    }

    /// Starts it with a stdin that says nothing yet.
    pub fn start_asking(&self, arguments: &[&str]) -> Child {
        self.command(env!("CARGO_BIN_EXE_lorabake"), arguments).stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it with files of at most `blocks` × 512 bytes: the system refuses to write more, as if the disk were full.
    pub fn run_on_full_disk(&self, blocks: usize, arguments: &[&str]) -> Done {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let words = [&["-c", &script, "sh", env!("CARGO_BIN_EXE_lorabake")], arguments].concat();
        self.finish(self.command("sh", &words).spawn().unwrap())
    }

    /// Runs a script of bash.
    pub fn bash(&self, script: &str) -> Done {
        self.finish(self.command("bash", &["-c", script]).spawn().unwrap())
    }

    /// Reads stderr until it holds `text`.
    pub fn wait_for(&self, child: &mut Child, text: &str) {
        let stderr: &mut ChildStderr = child.stderr.as_mut().unwrap();
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !String::from_utf8_lossy(&seen).contains(text) {
            assert_eq!(stderr.read(&mut byte).unwrap(), 1, "it ended: {}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
    }

    /// Waits until there is a file `name`.
    pub fn wait_for_file(&self, name: &str) {
        let began = Instant::now();
        while !self.path(name).exists() {
            assert!(began.elapsed() < Duration::from_secs(120), "{name} does not come");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What Ctrl-C does.
    pub fn interrupt(&self, child: &Child) {
        self.signal(child, "-INT");
    }

    /// Sends a signal, such as `-HUP`.
    pub fn signal(&self, child: &Child, signal: &str) {
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub fn finish(&self, child: Child) -> Done {
        let output = child.wait_with_output().unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// All files under `folder`, sorted, relative to the sandbox.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }

    /// Width, height and bytes of a picture.
    pub fn pixels(&self, name: &str) -> (u32, u32, Vec<u8>) {
        let mut reader = png_reader(&self.path(name));
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        (info.width, info.height, bytes)
    }
}

/// A PNG of 64 × 64 pixels.
pub fn png(tint: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..64 * 64).flat_map(|i: u32| [(i % 64 * 4) as u8, (i / 64 * 4) as u8, tint]).collect();
    png_of(&pixels)
}

/// A PNG of 64 × 64 pixels, red, green and blue of each.
pub fn png_of(pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 64, 64);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

fn png_reader(path: &Path) -> png::Reader<BufReader<std::fs::File>> {
    png::Decoder::new(BufReader::new(std::fs::File::open(path).unwrap())).read_info().unwrap()
}

/// The text chunk `parameters`.
pub fn png_text(path: &Path) -> String {
    let reader = png_reader(path);
    let chunks = &reader.info().uncompressed_latin1_text;
    chunks.iter().find(|chunk| chunk.keyword == "parameters").unwrap().text.clone()
}

/// Names and values of a LoRA in f32.
pub fn lora_tensors(path: &Path) -> Vec<(String, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors();
    let numbers = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let mut tensors: Vec<_> = tensors.into_iter().map(|(name, view)| (name, numbers(view.data()))).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

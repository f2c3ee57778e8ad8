//! What a platform's release carries: the program with the ways to GPUs that are built for it, packed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cuda_llvm, licences};

/// The cargo features of a release for this platform.
const FEATURES: &str = if cfg!(target_os = "macos") {
    "metal"
} else if cfg!(target_os = "linux") {
    "cuda,vulkan"
} else {
    "vulkan"
};
/// The licences of the packages that are built in.
const OTHERS: &str = "LICENSES-OF-PACKAGES.txt";
/// What lies beside the program.
const PAPERS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// NVIDIA's terms, for libdevice, which programs with `cuda` have inside.
const NVIDIA: &str = "kernels/libdevice/LICENSE-NVIDIA.txt";

/// Shells that the program has completions for, and how each wants the file to be called.
const SHELLS: [(&str, &str); 4] =
    [("bash", "lorabake.bash"), ("zsh", "_lorabake"), ("fish", "lorabake.fish"), ("powershell", "_lorabake.ps1")];

/// Builds with the features in `args` (`none` for no GPU), or the platform's, packs, and states the sizes.
///
/// # Errors
/// If the program does not build, or cannot be packed.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    let features = args.first().map_or(FEATURES, String::as_str);
    let named: Vec<String> =
        features.split(',').filter(|name| *name != "none").map(|f| format!("lorabake/{f}")).collect();
    let named = named.join(",");
    let target = root.join("target/dist-build");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--profile", "dist", "--package", "lorabake", "--features", &named]);
    if let Some(folder) = cuda_llvm::installed(root) {
        cargo.env("XDG_DATA_HOME", folder);
    }
    let status = cargo.arg("--target-dir").arg(&target).current_dir(root).status().context("cargo does not start")?;
    ensure!(status.success(), "the release does not build");
    let program = target.join("dist").join(format!("lorabake{}", std::env::consts::EXE_SUFFIX));
    let system = std::env::consts::OS;
    let processor = std::env::consts::ARCH;
    let name = format!("lorabake-{}-{system}-{processor}-{}", env!("CARGO_PKG_VERSION"), features.replace(',', "-"));
    let folder = target.join(&name);
    fs::create_dir_all(&folder)?;
    fs::copy(&program, folder.join(program.file_name().context("the program has a name")?))?;
    for paper in PAPERS {
        fs::copy(root.join(paper), folder.join(paper)).with_context(|| paper.to_string())?;
    }
    if features.split(',').any(|name| name == "cuda") {
        let terms = Path::new(NVIDIA).file_name().context("the terms have a name")?;
        fs::copy(root.join(NVIDIA), folder.join(terms)).context(NVIDIA)?;
    }
    write_manual(&program, &folder)?;
    fs::write(folder.join(OTHERS), licences::texts(root, &named)?).context(OTHERS)?;
    let archive = target.join(format!("{name}.tar.gz"));
    let packed = Command::new("tar").arg("-czf").arg(&archive).args(["-C"]).arg(&target).arg(&name).status();
    ensure!(packed.context("tar does not start")?.success(), "the release cannot be packed");
    let size = |path: &Path| fs::metadata(path).map(|data| data.len() as f64 / 1e6);
    println!("{}: {:.1} MB; {}: {:.1} MB", program.display(), size(&program)?, archive.display(), size(&archive)?);
    Ok(true)
}

/// Lets the program write its manual pages and the completions of each shell into `folder`.
fn write_manual(program: &Path, folder: &Path) -> Result<()> {
    let pages = Command::new(program).arg("man").arg(folder.join("man")).status()?;
    ensure!(pages.success(), "the manual pages cannot be written");
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for (shell, file) in SHELLS {
        let script = Command::new(program).args(["completions", shell]).output()?;
        ensure!(script.status.success(), "no completions for {shell}");
        fs::write(completions.join(file), script.stdout)?;
    }
    Ok(())
}

//! How much memory this process may still take, as far as the system tells.
//!
//! On Linux three things bound it: what the machine has free, what the control groups that hold the process allow (containers,
//! batch systems; both versions), and its own address space (`ulimit -v`), in which a mapped checkpoint counts too. On
//! Windows and macOS it is what the machine has free, asked of `sysinfo`.

#[cfg(any(test, target_os = "linux"))]
use std::path::Path;

/// Bytes that this process may still take; `None` where the system does not say.
pub fn free_memory() -> Option<u64> {
    of_system()
}

#[cfg(target_os = "linux")]
fn of_system() -> Option<u64> {
    least(Path::new("/"))
}

#[cfg(not(target_os = "linux"))]
fn of_system() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // Zero where it does not know the system.
    match system.available_memory() {
        0 => None,
        available => Some(available),
    }
}

/// Free memory of a machine whose `/proc` and `/sys` are under `root`.
#[cfg(any(test, target_os = "linux"))]
fn least(root: &Path) -> Option<u64> {
    let machine = 1024 * labelled(&root.join("proc/meminfo"), "MemAvailable:")?;
    let bounds = groups(root).into_iter().chain(address_space(root));
    Some(bounds.fold(machine, u64::min))
}

/// What each control group above the process has left.
#[cfg(any(test, target_os = "linux"))]
fn groups(root: &Path) -> Vec<u64> {
    let own = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut left = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        // Of version 2, which has no list of controllers, or of version 1.
        let (top, [most, used, unread]) = match controllers {
            "" => ("sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"]),
            "memory" => {
                let names = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
                ("sys/fs/cgroup/memory", names)
            }
            _ => continue,
        };
        for folder in Path::new(path.trim_start_matches('/')).ancestors() {
            let folder = root.join(top).join(folder);
            let (Some(most), Some(used)) = (number(&folder.join(most)), number(&folder.join(used))) else { continue };
            // Pages of files that nobody uses are counted as used, and given up when room is needed.
            let unread = labelled(&folder.join("memory.stat"), unread).unwrap_or(0);
            left.push(most.saturating_sub(used.saturating_sub(unread)));
        }
    }
    left
}

/// What is left of the address space, if that has a bound.
#[cfg(any(test, target_os = "linux"))]
fn address_space(root: &Path) -> Option<u64> {
    let most = labelled(&root.join("proc/self/limits"), "Max address space")?;
    let used = 1024 * labelled(&root.join("proc/self/status"), "VmSize:")?;
    Some(most.saturating_sub(used))
}

#[cfg(any(test, target_os = "linux"))]
fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number behind a label at the start of a line.
#[cfg(any(test, target_os = "linux"))]
fn labelled(file: &Path, label: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        let free = ("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n");
        for (path, text) in files.iter().chain([&free]) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        least(root.path())
    }

    #[test]
    fn the_least_of_all_bounds_counts() {
        let free = 8000 * 1024;
        assert_eq!(machine(&[]), Some(free));
        assert_eq!(least(Path::new("/nowhere")), None);
        let group = ("proc/self/cgroup", "1:cpu:/\n0::/batch/job\n");
        let inner = [
            group,
            ("sys/fs/cgroup/batch/job/memory.max", "max\n"),
            ("sys/fs/cgroup/batch/job/memory.current", "7\n"),
            ("sys/fs/cgroup/batch/memory.max", "3000000\n"),
            ("sys/fs/cgroup/batch/memory.current", "1000000\n"),
            ("sys/fs/cgroup/batch/memory.stat", "anon 1\ninactive_file 400000\n"),
        ];
        assert_eq!(machine(&inner[..3]), Some(free));
        assert_eq!(machine(&inner), Some(2_400_000));
        let first = [
            ("proc/self/cgroup", "4:memory:/box\n0::/\n"),
            ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "2000000\n"),
            ("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "500000\n"),
        ];
        assert_eq!(machine(&first), Some(1_500_000));
        let shell = [
            ("proc/self/limits", "Max processes 7 7 processes\nMax address space   5000000   unlimited bytes\n"),
            ("proc/self/status", "Name: lorabake\nVmSize:   1000 kB\n"),
        ];
        assert_eq!(machine(&shell), Some(5_000_000 - 1_024_000));
        let without = ("proc/self/limits", "Max address space   unlimited   unlimited bytes\n");
        assert_eq!(machine(&[without, shell[1]]), Some(free));
    }
}

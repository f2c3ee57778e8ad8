//! How much memory a GPU has and has free, as far as the system tells: graphics interfaces don't.

#[cfg(feature = "cube")]
use std::process::Command;

/// A card's own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CardMemory {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that nobody has taken. Who takes more gets main memory from Windows' drivers, without a word and slow.
    pub free: u64,
}

/// The memory of the card at this PCI address (`0000:01:00.0`): from the Linux driver of AMD's cards, or NVIDIA's own tool,
/// which comes with its driver on Linux and Windows.
#[cfg(feature = "cube")]
pub(super) fn of_card(address: &str) -> Option<CardMemory> {
    of_driver(address).or_else(|| of_nvidia(&nvidia_smi()?, address))
}

#[cfg(not(feature = "cube"))]
pub(super) fn of_card(_: &str) -> Option<CardMemory> {
    None
}

#[cfg(feature = "cube")]
fn of_driver(address: &str) -> Option<CardMemory> {
    let number = |name: &str| -> Option<u64> {
        let file = format!("/sys/bus/pci/devices/{address}/mem_info_vram_{name}");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    };
    let total = number("total")?;
    Some(CardMemory { total, free: total.saturating_sub(number("used")?) })
}

#[cfg(feature = "cube")]
fn nvidia_smi() -> Option<String> {
    let arguments = ["--query-gpu=pci.bus_id,memory.total,memory.free", "--format=csv,noheader,nounits"];
    let answer = Command::new("nvidia-smi").args(arguments).output().ok()?;
    String::from_utf8(answer.stdout).ok()
}

/// From lines like `00000000:01:00.0, 24564, 23011`: the address, and mebibytes in all and free.
#[cfg(any(test, feature = "cube"))]
fn of_nvidia(lines: &str, address: &str) -> Option<CardMemory> {
    let (_, place) = address.split_once(':')?;
    let place = place.to_ascii_lowercase();
    for line in lines.lines() {
        let mut parts = line.split(',').map(str::trim);
        if !parts.next()?.to_ascii_lowercase().ends_with(&place) {
            continue;
        }
        let mut bytes = || Some(parts.next()?.parse::<u64>().ok()? << 20);
        return Some(CardMemory { total: bytes()?, free: bytes()? });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvidias_lines_are_read() {
        let lines = "00000000:01:00.0, 24564, 23011\n00000000:41:00.0, 81559, 500\n";
        let found = CardMemory { total: 81559 << 20, free: 500 << 20 };
        assert_eq!(of_nvidia(lines, "0000:41:00.0"), Some(found));
        assert_eq!(of_nvidia(lines, "0000:02:00.0"), None);
        assert_eq!(of_nvidia("00000000:01:00.0, [N/A], [N/A]", "0000:01:00.0"), None);
        assert_eq!(of_nvidia("Failed to initialize NVML", "0000:02:00.0"), None);
    }
}

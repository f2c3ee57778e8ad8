//! How much memory a GPU has, as far as the system tells: graphics interfaces don't.

#[cfg(feature = "cube")]
use std::process::Command;

/// Bytes of the card at this PCI address (`0000:01:00.0`): from the Linux driver of AMD's cards, or NVIDIA's own tool.
#[cfg(feature = "cube")]
pub(super) fn of_card(address: &str) -> Option<u64> {
    let file = format!("/sys/bus/pci/devices/{address}/mem_info_vram_total");
    let of_driver = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    of_driver.or_else(|| of_nvidia(&nvidia_smi()?, address))
}

#[cfg(not(feature = "cube"))]
pub(super) fn of_card(_: &str) -> Option<u64> {
    None
}

#[cfg(feature = "cube")]
fn nvidia_smi() -> Option<String> {
    let arguments = ["--query-gpu=pci.bus_id,memory.total", "--format=csv,noheader,nounits"];
    let answer = Command::new("nvidia-smi").args(arguments).output().ok()?;
    String::from_utf8(answer.stdout).ok()
}

/// From lines like `00000000:01:00.0, 24564`: the address and mebibytes.
#[cfg(any(test, feature = "cube"))]
fn of_nvidia(lines: &str, address: &str) -> Option<u64> {
    let (_, place) = address.split_once(':')?;
    let line = lines.lines().find_map(|line| {
        let (card, memory) = line.split_once(',')?;
        card.trim().to_ascii_lowercase().ends_with(&place.to_ascii_lowercase()).then_some(memory)
    });
    Some(line?.trim().parse::<u64>().ok()? << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvidias_lines_are_read() {
        let lines = "00000000:01:00.0, 24564\n00000000:41:00.0, 81559\n";
        assert_eq!(of_nvidia(lines, "0000:41:00.0"), Some(81559 << 20));
        assert_eq!(of_nvidia(lines, "0000:02:00.0"), None);
        assert_eq!(of_nvidia("Failed to initialize NVML", "0000:02:00.0"), None);
    }
}

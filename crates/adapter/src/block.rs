//! Which block of the UNet a layer belongs to, as sd-scripts' `networks.lora` has it.

/// Index of the block of a layer of the UNet, in the order IN00 to IN11, M00, OUT00 to OUT11; `None` outside of blocks.
///
/// Levels have three blocks each: two or three with a resnet, and on the way down one with the downsampler.
pub fn block_of(path: &str) -> Option<usize> {
    let mut parts = path.split('.');
    let direction = parts.next()?;
    if direction == "mid_block" {
        return Some(12);
    }
    let level: usize = parts.next()?.parse().ok()?;
    let place = match (parts.next()?, parts.next()?.parse::<usize>().ok()?) {
        ("resnets" | "attentions", place) => place,
        ("downsamplers" | "upsamplers", _) => 2,
        _ => return None,
    };
    let first = match direction {
        "down_blocks" => 1,
        "up_blocks" => 13,
        _ => return None,
    };
    Some(first + 3 * level + place)
}

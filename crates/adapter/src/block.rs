//! Which block of the UNet a layer belongs to, as sd-scripts' `networks.lora` has it.

use lorabake_recipe::network::blocks::Numbering;

/// Index of the block of a layer of the UNet in the order of `numbering`; `None` outside of blocks.
///
/// Levels have three blocks each: two or three with a resnet, and on the way down one with the downsampler.
pub fn block_of(path: &str, numbering: Numbering) -> Option<usize> {
    let mut parts = path.split('.');
    let direction = parts.next()?;
    let xl = numbering == Numbering::Sdxl;
    match direction {
        "mid_block" if xl => {
            return Some(match (parts.next()?, parts.next()?) {
                ("resnets", "0") => 10,
                ("attentions", _) => 11,
                _ => 12,
            });
        }
        "mid_block" => return Some(12),
        "time_embedding" | "add_embedding" if xl => return Some(0),
        "conv_in" if xl => return Some(1),
        "conv_out" if xl => return Some(22),
        _ => {}
    }
    let level: usize = parts.next()?.parse().ok()?;
    let place = match (parts.next()?, parts.next()?.parse::<usize>().ok()?) {
        ("resnets" | "attentions", place) => place,
        ("downsamplers" | "upsamplers", _) => 2,
        _ => return None,
    };
    let first = match direction {
        "down_blocks" if xl => 2,
        "down_blocks" => 1,
        "up_blocks" => 13,
        _ => return None,
    };
    Some(first + 3 * level + place)
}

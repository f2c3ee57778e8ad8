//! The picture of what is trained in which block of the UNet: down on the left, up on the right, the middle below, so that
//! blocks that hand states to each other stand side by side.

use lorabake_recipe::network::RankAlpha;
use lorabake_train::event::BlockRow;

/// Length of the longest bar.
const BAR: usize = 8;

/// The picture, of many lines; `rows` are all blocks in the order of their names.
pub fn picture(rows: &[BlockRow]) -> String {
    let highest = rows.iter().map(|row| row.rate).fold(0.0, f64::max);
    let sizes = rows.iter().map(|row| size(row).chars().count()).max().unwrap_or_default();
    let cell = |row: &BlockRow| cell(row, sizes, highest);
    let side = rows.len() / 2;
    let (down, rest) = rows.split_at(side);
    let [middle, up @ ..] = rest else { return String::new() };
    let pairs = down.iter().zip(up.iter().rev()).map(|(down, up)| format!("  {}   {}", cell(down), cell(up)));
    let indent = " ".repeat(2 + cell(middle).chars().count() / 2);
    let lines: Vec<String> = pairs.chain([format!("{indent}{}", cell(middle))]).collect();
    let lines: String = lines.iter().map(|line| format!("\n{}", line.trim_end())).collect();
    let conv = if rows.iter().any(|row| row.conv.is_some()) { " (+ of 3x3 convolutions)" } else { "" };
    format!("\nblocks of the UNet: rank/alpha{conv} and learning rate; - is not trained{lines}")
}

fn cell(row: &BlockRow, sizes: usize, highest: f64) -> String {
    if row.modules == 0 {
        return format!("{:5}  {:width$}", row.name, "-", width = sizes + BAR + 11);
    }
    let bar = ((row.rate / highest * BAR as f64).round() as usize).max(usize::from(row.rate > 0.0));
    let rate = if row.rate > 0.0 { format!("{:.2e}", row.rate) } else { "-".to_owned() };
    format!("{:5}  {:sizes$}  {rate:7}  {:BAR$}", row.name, size(row), "█".repeat(bar))
}

/// `4/1`, or `4/1+2/1` with convolutions.
fn size(row: &BlockRow) -> String {
    match (row.linear, row.conv) {
        (Some(linear), Some(conv)) => format!("{}+{}", rank_alpha(linear), rank_alpha(conv)),
        (Some(one), None) | (None, Some(one)) => rank_alpha(one),
        (None, None) => "-".to_owned(),
    }
}

fn rank_alpha(size: RankAlpha) -> String {
    format!("{}/{}", size.rank, size.alpha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_a_u() {
        let row = |name: &str, modules, linear, rate| BlockRow { name: name.into(), modules, linear, conv: None, rate };
        let rows = [
            row("IN00", 0, None, 0.0),
            row("IN01", 10, Some(RankAlpha { rank: 16, alpha: 8.0 }), 1e-4),
            row("M00", 10, Some(RankAlpha { rank: 4, alpha: 0.5 }), 2.5e-5),
            row("OUT00", 10, Some(RankAlpha { rank: 4, alpha: 1.0 }), 1e-6),
            row("OUT01", 10, Some(RankAlpha { rank: 4, alpha: 1.0 }), 0.0),
        ];
        let expected = "
blocks of the UNet: rank/alpha and learning rate; - is not trained
  IN00   -                          OUT01  4/1    -
  IN01   16/8   1.00e-4  ████████   OUT00  4/1    1.00e-6  █
                 M00    4/0.5  2.50e-5  ██";
        assert_eq!(picture(&rows), expected);
        let conv = [BlockRow { conv: Some(RankAlpha { rank: 2, alpha: 1.0 }), ..rows[1].clone() }];
        assert!(picture(&conv).contains("rank/alpha (+ of 3x3 convolutions)"));
        assert!(picture(&conv).contains("16/8+2/1"));
    }
}

//! A curve as a picture of braille characters: two dots wide and four high in each.

/// Height of the picture in characters.
const ROWS: usize = 6;
/// Width of the picture in characters.
const COLUMNS: usize = 60;
/// How many values a curve needs to fill the picture.
pub const POINTS: usize = 2 * COLUMNS;

/// The dots of a character, by row from the top, left and right.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Draws values from 0 to 1, from left to right, with a scale beside them and the `ends` below.
/// A value above 1 is drawn as 1.
pub fn draw(values: &[f64], ends: [&str; 2]) -> String {
    let height = 4 * ROWS;
    let level = |x: usize| {
        let value = values.get(x * values.len() / POINTS).copied().unwrap_or(0.0);
        ((1.0 - value.clamp(0.0, 1.0)) * (height - 1) as f64).round() as usize
    };
    let mut cells = vec![[0_u32; COLUMNS]; ROWS];
    for x in 0..POINTS {
        // From the level before, so that a steep line has no holes.
        let (here, before) = (level(x), level(x.saturating_sub(1)));
        for y in here.min(before)..=here.max(before) {
            cells[y / 4][x / 2] |= DOTS[y % 4][x % 2];
        }
    }
    let mut text = String::new();
    for (row, cells) in cells.iter().enumerate() {
        let scale = match row {
            0 => "×1 ┤",
            row if row + 1 == ROWS => " 0 ┤",
            _ => "   │",
        };
        let dots: String = cells.iter().map(|dots| char::from_u32(0x2800 + dots).unwrap_or(' ')).collect();
        text += &format!("{scale}{}\n", dots.trim_end_matches('\u{2800}'));
    }
    let gap = COLUMNS.saturating_sub(ends[0].chars().count() + ends[1].chars().count());
    text + &format!("   └{}\n    {}{}{}\n", "─".repeat(COLUMNS), ends[0], " ".repeat(gap), ends[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_a_line_at_the_top() {
        let picture = draw(&[1.0], ["step 1", "step 9"]);
        let lines: Vec<&str> = picture.lines().collect();
        assert_eq!(lines.len(), ROWS + 2);
        assert_eq!(lines[0], format!("×1 ┤{}", "⠉".repeat(COLUMNS)));
        assert!(lines[1..ROWS - 1].iter().all(|line| *line == "   │"), "{picture}");
        assert_eq!(lines[ROWS + 1].chars().count(), 4 + COLUMNS);
    }

    #[test]
    fn a_line_falls_from_corner_to_corner_without_holes() {
        let values: Vec<f64> = (0..POINTS).map(|x| 1.0 - x as f64 / (POINTS - 1) as f64).collect();
        let picture = draw(&values, ["", ""]);
        let rows: Vec<Vec<char>> = picture.lines().take(ROWS).map(|line| line.chars().skip(4).collect()).collect();
        assert!(rows[0][0] != '\u{2800}' && rows[ROWS - 1][COLUMNS - 1] != '\u{2800}', "{picture}");
        for column in 0..COLUMNS {
            let filled = rows.iter().filter(|row| row.get(column).is_some_and(|cell| *cell != '\u{2800}')).count();
            assert!((1..=2).contains(&filled), "column {column}\n{picture}");
        }
    }

    #[test]
    fn a_restart_is_drawn_as_a_wall() {
        let values: Vec<f64> = (0..POINTS).map(|x| if x < COLUMNS { 0.0 } else { 1.0 }).collect();
        let picture = draw(&values, ["", ""]);
        let at_wall = picture
            .lines()
            .take(ROWS)
            .filter(|line| line.chars().nth(4 + COLUMNS / 2).is_some_and(|cell| cell != '\u{2800}'));
        assert_eq!(at_wall.count(), ROWS, "{picture}");
    }
}

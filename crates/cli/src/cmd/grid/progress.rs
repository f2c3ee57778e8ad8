//! How the painting of a grid looks on a terminal.

use std::sync::atomic::Ordering;

use anyhow::Result;
use lorabake_generate::easel::Easel;
use lorabake_judge::grid::{self, Folder, Model, Moment, Painted, Picture, Plan};

use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// Paints what is missing and shows how far it is.
///
/// # Errors
/// As [`grid::paint`].
pub fn paint(plan: &Plan, folder: &Folder, open: &mut dyn FnMut(&Model) -> Result<Easel>) -> Result<Painted> {
    let wished = stop::wished()?;
    let telling = stop::Telling::begin(wished);
    let found = plan.pictures.iter().filter(|picture| folder.picture(&picture.file).is_file()).count();
    if found > 0 && found < plan.pictures.len() {
        let count = plan.pictures.len();
        terminal::say(&format!("{found} of {count} pictures are in {} already", Shown(folder.path.display())));
    }
    let missing = plan.pictures.len() - found;
    let mut counter = Counter::new("painting", missing as u64);
    let mut done = 0;
    let painted = grid::paint(plan, folder, open, &mut |moment| {
        match moment {
            Moment::Opens(model) => counter.above(|| terminal::say(&format!("checkpoint: {}", Shown(&model.name)))),
            Moment::Tells(line) => counter.above(|| terminal::say(line)),
            Moment::Step { picture, index, done: step, total } => {
                if wished.load(Ordering::Relaxed) {
                    return false;
                }
                let of = total.map_or_else(String::new, |total| format!(" of {total}"));
                let name = name(plan, picture);
                counter.set(done, format!("picture {} ({name}): step {step}{of}", index + 1));
            }
            Moment::Written(picture) => {
                done += 1;
                counter.set(done, format!("{} is written", name(plan, picture)));
            }
            Moment::Failed(failure) => {
                done += 1;
                let name = name(plan, &failure.picture);
                counter.above(|| terminal::say(&format!("error: {name}: {}", Shown(&failure.why))));
            }
            Moment::Found(_) => {}
        }
        true
    });
    counter.clear();
    telling.end();
    painted
}

/// Its labels.
fn name(plan: &Plan, picture: &Picture) -> String {
    let labels = plan.labels(picture.cell).join(", ");
    let short: String = labels.chars().take(80).collect();
    let number =
        if plan.per_cell > 1 { format!(", {} of {}", picture.number + 1, plan.per_cell) } else { String::new() };
    format!("{}{number}", Shown(&short))
}

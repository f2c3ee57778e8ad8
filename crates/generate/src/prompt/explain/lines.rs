//! An explanation as lines of text.

use std::ops::RangeInclusive;

use super::{ExplainedText, Explanation};
use crate::prompt::block_weights::BLOCKS;
use crate::prompt::emphasis::Piece;
use crate::prompt::networks::{NetworkKind, NetworkUse};

impl Explanation {
    /// The explanation in lines for a screen. Calls are counted from 1; weights and strengths have four digits at most.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            if self.parts.len() == 1 && part.weight == 1.0 {
                lines.push("prompt:".to_owned());
            } else {
                lines.push(format!("prompt {}, weight {}:", index + 1, short(part.weight)));
            }
            push_texts(&part.texts, &mut lines);
        }
        lines.push("negative prompt:".to_owned());
        push_texts(&self.negative, &mut lines);
        for network in &self.networks {
            push_network(network, &mut lines);
        }
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }
}

fn push_texts(texts: &[ExplainedText], lines: &mut Vec<String>) {
    let calls = texts.iter().filter_map(|text| text.calls.last()).map(|range| range.end() + 1).max().unwrap_or(0);
    for text in texts {
        let ranges: Vec<String> = text.calls.iter().map(range).collect();
        lines.push(format!("  calls {} of {calls}: {:?}", ranges.join(", "), text.text));
        let plain = matches!(text.pieces.as_slice(), [Piece::Text { weight, .. }] if *weight == 1.0);
        if !plain {
            let pieces: Vec<String> = text.pieces.iter().map(piece).collect();
            lines.push(format!("    {}", pieces.join(", ")));
        }
    }
}

/// Calls, counted from 1.
fn range(calls: &RangeInclusive<usize>) -> String {
    let first = calls.start() + 1;
    let last = calls.end() + 1;
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text { text, weight } => format!("{} {text:?}", short(*weight)),
        Piece::Break => "BREAK".to_owned(),
    }
}

fn push_network(network: &NetworkUse, lines: &mut Vec<String>) {
    if network.kind == NetworkKind::Hypernet {
        lines.push(format!("hypernetwork {}: {}", network.name, network.unet));
        return;
    }
    let mut line = format!("LoRA {}: text encoders {}, UNet {}", network.name, network.te, network.unet);
    if let Some(rank) = network.dyn_dim {
        line.push_str(&format!(", rank {rank}"));
    }
    if let Some(start) = network.window.start {
        line.push_str(&format!(", from step {start} on"));
    }
    if let Some(stop) = network.window.stop {
        line.push_str(&format!(", until step {stop}"));
    }
    lines.push(line);
    if network.blocks.ratios != [1.0; BLOCKS.len()] {
        lines.push(format!("  {}", strengths(network)));
    }
    for rule in &network.blocks.elements {
        lines.push(format!("  layers {rule}"));
    }
}

/// The strength in every block; where strengths change over the steps, what they are multiplied by.
fn strengths(network: &NetworkUse) -> String {
    let mut numbers = network.blocks.ratios;
    let constant = network.te.constant().zip(network.unet.constant());
    if let Some((te, unet)) = constant {
        for (index, number) in numbers.iter_mut().enumerate() {
            *number *= if index == 0 { te } else { unet };
        }
    }
    let mut runs: Vec<String> = Vec::new();
    let mut first = 0;
    for index in 0..BLOCKS.len() {
        let last_of_run = index + 1 == BLOCKS.len()
            || numbers[index + 1] != numbers[first]
            || BLOCKS[index + 1][..1] != BLOCKS[first][..1];
        if last_of_run {
            let names =
                if first == index { BLOCKS[index].to_owned() } else { format!("{}-{}", BLOCKS[first], BLOCKS[index]) };
            runs.push(format!("{names} {}", short(numbers[first])));
            first = index + 1;
        }
    }
    let runs = runs.join(", ");
    if constant.is_some() { runs } else { format!("times {runs}") }
}

/// A number with four digits behind the point at most.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

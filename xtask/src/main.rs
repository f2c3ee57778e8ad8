//! lorabake
fn main() {}

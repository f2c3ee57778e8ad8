//! lorabake-train

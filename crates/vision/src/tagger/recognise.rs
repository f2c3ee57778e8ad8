//! Which contract a tagger has: one that its user describes, or that of its family.

use lorabake_onnx::Network;

use super::contract::{Contract, input};
use super::{described, family};
use crate::error::Error;

/// The contract of `network`, by the files beside it.
///
/// # Errors
/// When there is no list of tags, a file makes no sense, or the network is of another kind.
pub(super) fn recognised(network: &Network) -> Result<Contract, Error> {
    let path = network.path();
    let input = input(network)?;
    for name in ["tagger.toml", "lorabake-tagger.toml"] {
        let file = path.with_file_name(name);
        if file.is_file() {
            return described::contract(&file, network, input);
        }
    }
    let own = path.with_extension("toml");
    if own.is_file() {
        return described::contract(&own, network, input);
    }
    family::contract(network, input)
}

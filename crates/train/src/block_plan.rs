//! Which block of the UNet is trained with what, to be shown before training.

use lorabake_adapter::block_of;
use lorabake_weights::Part;

use crate::network::Module;
use crate::session::Session;

/// One block of the UNet.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Such as `IN00`.
    pub name: String,
    /// Adapted layers; 0 if the block is not trained, or has nothing to adapt.
    pub modules: usize,
    /// Rank and alpha of its linear layers, if one is adapted.
    pub linear: Option<(usize, f64)>,
    /// Rank and alpha of its 3×3 convolutions, if one is adapted.
    pub conv: Option<(usize, f64)>,
    /// The learning rate before the schedule; 0 if it is not trained.
    pub rate: f64,
}

/// All blocks of the session's UNet in the order of their names; empty if all are treated alike.
pub fn rows(session: &Session) -> Vec<Row> {
    let (network, settings) = (&session.network, &session.recipe.network);
    if !settings.blocks.differ() || network.count(Part::Unet) == 0 {
        return Vec::new();
    }
    let (sites, numbering) = (session.bundle.unet.sites(), settings.blocks.numbering);
    let row = |block: usize| {
        let here = |module: &&Module| {
            module.part == Part::Unet && block_of(&sites.get(module.spec.site).path, numbering) == Some(block)
        };
        let modules: Vec<&Module> = network.modules.iter().filter(here).collect();
        let size = |wide: bool| {
            let of_kind = |module: &&&Module| (module.spec.layer.kernel() > 1) == wide;
            let size = modules.iter().find(of_kind)?.spec.method.size()?;
            Some((size.rank, size.alpha))
        };
        let rate = session.recipe.optim.unet_lr * settings.blocks.lr(block);
        Row {
            name: numbering.name(block),
            modules: modules.len(),
            linear: size(false),
            conv: size(true),
            rate: if modules.is_empty() { 0.0 } else { rate },
        }
    };
    numbering.named().map(row).collect()
}

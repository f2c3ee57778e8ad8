//! Which block of the UNet is trained with what, to be shown before training.

use lorabake_adapter::block_of;
use lorabake_weights::Part;

use crate::event::BlockRow;
use crate::session::Session;
use lorabake_lora::NetworkModule;

/// All blocks of the session's UNet in the order of their names; empty if all are treated alike.
pub fn rows(session: &Session) -> Vec<BlockRow> {
    let (network, settings) = (&session.network, &session.recipe.network);
    if !settings.blocks.differ() || network.count(Part::Unet) == 0 {
        return Vec::new();
    }
    let (sites, numbering) = (session.bundle.unet.sites(), settings.blocks.numbering);
    let row = |block: usize| {
        let here = |module: &&NetworkModule| {
            module.part == Part::Unet && block_of(&sites.get(module.spec.site).path, numbering) == Some(block)
        };
        let modules: Vec<&NetworkModule> = network.modules.iter().filter(here).collect();
        let size = |wide: bool| {
            let of_kind = |module: &&&NetworkModule| (module.spec.layer.kernel() > 1) == wide;
            modules.iter().find(of_kind)?.spec.method.size()
        };
        let rate = session.recipe.optim.unet_lr * settings.blocks.lr(block);
        BlockRow {
            name: numbering.name(block),
            modules: modules.len(),
            linear: size(false),
            conv: size(true),
            rate: if modules.is_empty() { 0.0 } else { rate },
        }
    };
    numbering.named().map(row).collect()
}

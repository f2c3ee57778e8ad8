//! The options about the adapter, as they may be typed.

use std::path::PathBuf;

use serde::Serialize;

/// What may be typed about the adapter; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "LoRA", rename_all = "verbatim")]
pub struct RawNetwork {
    /// Kind of adapter: networks.lora, networks.dylora, or lycoris.kohya with algo=loha, lokr, ... in --network_args.
    /// [default: networks.lora]
    #[arg(long, value_name = "MODULE")]
    pub network_module: Option<String>,
    /// Rank: how much the LoRA can learn, and how large its file is. 32 to 64 suits characters, 64 to 128 styles.
    /// [default: 4]
    #[arg(long, value_name = "RANK")]
    pub network_dim: Option<u32>,
    /// Learning brake: the LoRA's effect is scaled by alpha divided by rank. Between 1 and the rank; 0 means the same
    /// as the rank, that is no brake. [default: 1]
    #[arg(long, value_name = "ALPHA")]
    pub network_alpha: Option<f64>,
    /// More settings of the adapter: conv_dim=RANK conv_alpha=ALPHA also trains the 3x3 convolutions (LoCon);
    /// block_dims, block_alphas, conv_block_dims, conv_block_alphas, down_lr_weight, mid_lr_weight, up_lr_weight and
    /// block_lr_zero_threshold for single blocks; loraplus_lr_ratio=16 for LoRA+; rank_dropout, module_dropout; algo,
    /// preset and others of lycoris.kohya; unit of networks.dylora.
    #[arg(long, value_name = "NAME=VALUE")]
    pub network_args: Option<Vec<String>>,
    /// Factors of the learning rate in single blocks of the UNet, such as IN=0,IN04-IN08=0.2,M00=1,OUT=0.5; what comes
    /// later wins, what is not named has 1, and a block at 0 gets no LoRA. Blocks are IN00 to IN11, M00, OUT00 to OUT11, for SDXL
    /// IN00 to IN08, M00 to M02, OUT00 to OUT08.
    #[arg(long, value_name = "NAME=FACTOR,...")]
    pub block_lr_weight: Option<String>,
    /// Shrink the LoRA of a layer whenever its norm grows beyond this number; 1 is usual. It holds back layers that
    /// overtrain, and helps several LoRAs to get along. [default: off]
    #[arg(long, value_name = "NORM")]
    pub scale_weight_norms: Option<f64>,
    /// Share of the values inside each LoRA that is left out by chance in every step, 0.1 to 0.5; with networks.lora.
    #[arg(long, value_name = "SHARE")]
    pub network_dropout: Option<f64>,
    /// Continue training this LoRA file instead of starting from nothing.
    #[arg(long, value_name = "FILE")]
    pub network_weights: Option<PathBuf>,
    /// With --network_weights: take rank and alpha from that file.
    #[arg(long)]
    pub dim_from_weights: Option<bool>,
    /// Train the UNet (what things look like) and leave the text encoder alone; faster.
    #[arg(long)]
    pub network_train_unet_only: Option<bool>,
    /// Train the text encoder (what words mean) and leave the UNet alone.
    #[arg(long)]
    pub network_train_text_encoder_only: Option<bool>,
}

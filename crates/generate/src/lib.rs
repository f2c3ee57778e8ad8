//! Pictures as the AUTOMATIC1111 web UI makes them; the list of files is that of the things which its users know by name.
//!
//! ```text
//! from_settings  PictureSettings → Request: what a command line, a prompt file or the text of a picture says
//! painter        checkpoint → Painter, which paints requests (paint, txt2img, img2img, inpaint, hires_fix)
//! easel          PictureSettings → Finished: many pictures one after the other, networks held, each with its text
//! prompt         a text → what it says; conditioning: → what the UNet is told; nets: → LoRAs and their strengths
//! pass           noise → latents: one run of a sampler, by calls of the UNet (unet_call) with ControlNets (control)
//! png_text       Request → the text in a picture and back; picture_file, file_names: where and how it is written
//! sample         pictures as sd-scripts makes them while it trains, which is another way
//! ```
//!
//! Not here: samplers (`diffusion`), the networks (`model`), words for a screen (`cli`). Nothing is printed, and neither
//! the data set nor the trainer is known.

pub mod adetailer;
pub mod agreement;
mod checkpoint;
pub mod color_correction;
pub mod conditioning;
pub mod control;
pub mod easel;
pub mod embedded;
pub mod embedding;
pub mod file_hashes;
pub mod file_names;
pub mod from_settings;
pub mod hires;
pub mod hires_fix;
pub mod img2img;
pub mod inpaint;
pub mod latent_shape;
pub mod limits;
pub mod nets;
pub mod noise;
mod noise_file;
pub mod paint;
pub mod painter;
pub mod pass;
pub mod picture_file;
pub mod picture_grid;
pub mod picture_text;
pub mod png_text;
pub mod probe;
pub mod problems;
pub mod prompt;
pub mod prompt_file;
pub mod request;
pub mod resize_mode;
pub mod sample;
pub mod soft_blend;
pub mod txt2img;
pub mod unet_call;
pub mod upscale;
pub mod upscale_net;
pub mod xyz;

pub use checkpoint::{open_checkpoint, open_for_painting, open_model};
pub use noise_file::read_noise;

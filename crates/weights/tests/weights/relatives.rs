//! Relatives of Stable Diffusion's families, other families, and networks that stand beside a model: `inspect` names each, and
//! no checkpoint, VAE or LoRA is made of it.

use std::path::{Path, PathBuf};

use lorabake_weights::Checkpoint;
use lorabake_weights::file_kind::FileKind;
use lorabake_weights::inspect::inspect;
use lorabake_weights::lora::LoraFile;
use safetensors::Dtype;
use tempfile::TempDir;

use crate::golden;

const UNET: &str = "model.diffusion_model.";

/// A file with these tensors of zeros in 8 bits.
fn file(tensors: &[(&str, &[usize])]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let zeros = vec![0u8; 1 << 20];
    let mut all = Vec::new();
    for (name, shape) in tensors {
        all.push((*name, Dtype::U8, *shape, &zeros[..shape.iter().product::<usize>()]));
    }
    std::fs::write(&path, golden::safetensors(&all)).unwrap();
    (folder, path)
}

fn refused_as_checkpoint(path: &Path) -> String {
    let message = Checkpoint::open(path).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// Names of a UNet in a checkpoint, without a family.
fn unet(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{UNET}{name}")).collect()
}

#[test]
fn relatives_of_our_families() {
    let sd1: &[(&str, &[usize])] = &[("cond_stage_model.transformer.text_model.final_layer_norm.weight", &[8])];
    let sd2: &[(&str, &[usize])] = &[("cond_stage_model.model.ln_final.weight", &[8])];
    let sdxl: &[(&str, &[usize])] = &[
        ("conditioner.embedders.0.transformer.text_model.final_layer_norm.weight", &[8]),
        ("conditioner.embedders.1.model.ln_final.weight", &[8]),
    ];
    let first = |channels: usize| ("input_blocks.0.0.weight".to_string(), vec![8, channels, 3, 3]);
    let key = |name: &str| (name.to_string(), vec![8, 8]);
    let wide = |name: &str, width: usize| (name.to_string(), vec![8, width]);
    for (family, own, beside, name, said) in [
        (sd1, vec![first(9)], vec![], "Stable Diffusion 1.x, inpainting", "an inpainting model (9 input channels)"),
        (sd2, vec![first(9)], vec![], "Stable Diffusion 2.x, inpainting", "use the base model, SD2.1"),
        (sdxl, vec![first(9)], vec![], "SDXL, inpainting", "use the base model, SDXL"),
        (sd1, vec![first(8)], vec![], "Stable Diffusion 1.x, UNet of 8 input channels", "whose UNet has 8 input"),
        (sdxl, vec![first(8)], vec![], "SDXL, UNet of 8 input channels", "a model whose UNet has 8 input channels"),
        (sd2, vec![first(5)], vec![], "Stable Diffusion 2.x, depth", "a depth model (5 input channels)"),
        (sd2, vec![first(7)], vec!["low_scale_model.a"], "Stable Diffusion x4 upscaler", "the x4 upscaler"),
        (
            sd2,
            vec![first(4), wide("label_emb.0.0.weight", 1536)],
            vec!["noise_augmentor.data_mean", "embedder.visual.proj"],
            "Stable Diffusion 2.x, unCLIP",
            "it is an unCLIP model (it is conditioned on an image as well); use the base model, SD2.1",
        ),
        (sd2, vec![first(4), wide("label_emb.0.0.weight", 2048)], vec![], "Stable Diffusion 2.x, unCLIP", "an unCLIP"),
        (sdxl, vec![first(4)], vec!["edm_mean", "edm_std"], "SDXL, Playground v2.5", "it is Playground v2.5"),
        (sdxl, vec![first(4)], vec!["edm_vpred.sigma_max"], "SDXL, CosXL", "it is CosXL"),
        (sdxl, vec![first(8)], vec!["edm_vpred.sigma_max"], "SDXL, CosXL edit", "it is CosXL edit"),
        (
            sdxl,
            vec![first(4), key("input_blocks.7.1.transformer_blocks.3.a")],
            vec![],
            "SDXL, SSD-1B (pruned)",
            "SSD-1B",
        ),
        (sdxl, vec![key("input_blocks.7.1.transformer_blocks.1.a")], vec![], "SDXL, Segmind Vega (pruned)", "Vega"),
        (sdxl, vec![key("input_blocks.4.0.a")], vec![], "SDXL, pruned", "a pruned SDXL (such as KOALA)"),
        (sdxl, vec![first(4), key("encoder_hid_proj.weight")], vec![], "Kolors", "it is Kolors"),
        (&[], vec![first(8)], vec!["cc_projection.weight"], "Stable Zero123", "Zero123"),
        (&[], vec![key("input_blocks.1.1.time_stack.0.a")], vec![], "Stable Video Diffusion", "Stable Video Diffusion"),
        (&[], vec![first(4)], vec!["conditioner.embedders.0.model.ln_final.bias"], "SDXL refiner", "the SDXL refiner"),
        (&[], vec![wide("label_emb.0.0.weight", 2560)], vec![], "SDXL refiner", "the SDXL refiner"),
        (&[], vec![first(4)], vec!["cond_stage_model.roberta.a"], "AltDiffusion", "AltDiffusion"),
    ] {
        let names = unet(&own.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        let mut tensors: Vec<(&str, &[usize])> = family.to_vec();
        for (name, (_, shape)) in names.iter().zip(&own) {
            tensors.push((name, shape));
        }
        tensors.extend(beside.iter().map(|name| (*name, [1].as_slice())));
        tensors.push(("first_stage_model.encoder.conv_in.weight", &[8, 3, 3, 3]));
        let (_folder, path) = file(&tensors);
        let report = inspect(&path, false).unwrap();
        assert_eq!((report.kind, report.family.as_deref()), (FileKind::Checkpoint, Some(name)));
        let message = refused_as_checkpoint(&path);
        assert!(message.contains(said), "{name}: {message}");
    }
}

#[test]
fn other_families() {
    for (keys, name) in [
        (&["double_blocks.0.img_attn.qkv.weight", "guidance_in.in_layer.weight"][..], "Flux"),
        (&["transformer_blocks.0.attn.add_k_proj.weight", "single_transformer_blocks.0.norm.linear.weight"], "Flux"),
        (&["double_blocks.0.img_attn.norm.key_norm.scale", "distilled_guidance_layer.in_proj.bias"], "Chroma"),
        (&["double_blocks.0.a", "double_stream_modulation_img.lin.weight"], "Flux 2"),
        (&["double_blocks.0.a", "txt_in.individual_token_refiner.blocks.0.norm1.weight"], "Hunyuan Video"),
        (&["joint_blocks.0.context_block.attn.qkv.weight"], "Stable Diffusion 3"),
        (&["joint_blocks.0.context_block.attn.qkv.weight", "joint_blocks.37.a"], "Stable Diffusion 3.5"),
        (&["transformer_blocks.0.attn.add_k_proj.weight", "pos_embed.proj.weight"], "Stable Diffusion 3"),
        (&["clip_txt_mapper.weight", "clf.1.weight"], "Stable Cascade"),
        (&["t_block.1.weight", "y_embedder.y_embedding"], "PixArt"),
        (&["adaln_single.emb.timestep_embedder.linear_1.bias", "pos_embed.proj.bias"], "PixArt"),
        (&["mlp_t5.0.weight"], "Hunyuan-DiT"),
        (&["double_layers.0.attn.w1q.weight"], "AuraFlow"),
        (&["txt_norm.weight", "transformer_blocks.0.img_mlp.net.0.proj.weight"], "Qwen-Image"),
        (&["cap_embedder.0.weight", "noise_refiner.0.attention.k_norm.weight"], "Lumina"),
        (&["all_x_embedder.2-1.weight"], "Z-Image"),
        (&["head.modulation", "patch_embedding.weight"], "Wan"),
        (&["patchify_proj.weight", "adaln_single.linear.weight"], "LTX-Video"),
        (&["double_stream_blocks.0.block.adaLN_modulation.1.bias"], "HiDream"),
        (&["encoder_pooling.0.weight", "encoder_proj.weight"], "DeepFloyd IF"),
    ] {
        for wrapper in ["", UNET, "diffusion_model."] {
            let names: Vec<String> = keys.iter().map(|key| format!("{wrapper}{key}")).collect();
            let tensors: Vec<(&str, &[usize])> = names.iter().map(|name| (name.as_str(), [8].as_slice())).collect();
            let (_folder, path) = file(&tensors);
            let report = inspect(&path, false).unwrap();
            assert_eq!((report.kind, report.family.as_deref()), (FileKind::Checkpoint, Some(name)), "{names:?}");
            let said =
                format!("it is a model of the {name} family; only SD1.x, SD2.x and SDXL checkpoints are supported");
            let message = refused_as_checkpoint(&path);
            assert!(message.contains(&said), "{message}");
            let said = format!("it is a model of the {name} family, not a LoRA; give a LoRA of SD1.x, SD2.x or SDXL");
            let message = LoraFile::open(&path).unwrap_err().to_string();
            assert!(message.ends_with(&said), "{message}");
        }
    }
}

/// Networks that stand beside a model, and parts of models.
#[test]
fn what_is_no_model() {
    for (tensors, kind, name, said) in [
        (
            &[("control_model.time_embed.0.weight", &[8][..])][..],
            FileKind::ControlNet,
            "Stable Diffusion 1.x or 2.x",
            "",
        ),
        (
            &[("controlnet_cond_embedding.conv_in.weight", &[8])],
            FileKind::ControlNet,
            "Stable Diffusion 1.x or 2.x",
            "",
        ),
        (
            &[("controlnet_cond_embedding.conv_in.weight", &[8]), ("add_embedding.linear_1.weight", &[8])],
            FileKind::ControlNet,
            "SDXL",
            "a ControlNet of SDXL",
        ),
        (&[("lllite_unet_down_blocks_0.a", &[8])], FileKind::ControlNet, "ControlNet-LLLite", ""),
        (
            &[("image_proj.proj.weight", &[8]), ("ip_adapter.1.to_q_lora.down.weight", &[8])],
            FileKind::ImageAdapter,
            "IP-Adapter",
            "an IP-Adapter",
        ),
        (
            &[("id_encoder.a", &[8]), ("lora_weights.down_blocks.1.attn1.processor.to_q_lora.down.weight", &[8])],
            FileKind::ImageAdapter,
            "PhotoMaker",
            "a PhotoMaker",
        ),
        (&[("adapter.body.0.in_conv.weight", &[8])], FileKind::ImageAdapter, "T2I-Adapter", "a T2I-Adapter"),
        (&[("down_blocks.0.motion_modules.0.a", &[8])], FileKind::MotionModule, "AnimateDiff", "a motion module"),
        (&[("model.1.sub.0.RDB1.conv1.0.weight", &[8])], FileKind::Upscaler, "ESRGAN", "an upscaler"),
        (&[("conv_first.weight", &[8]), ("body.0.rdb1.conv1.weight", &[8])], FileKind::Upscaler, "ESRGAN", "upscaler"),
        (
            &[("model.22.cv2.0.0.conv.weight", &[8]), ("model.22.cv3.0.0.conv.weight", &[8])],
            FileKind::Detector,
            "YOLO",
            "a detector",
        ),
        (&[("decoder.conv_in.weight", &[8, 16, 3, 3])], FileKind::Vae, "Stable Diffusion 3 or Flux", "16 channels"),
        (&[("encoder.layers.0.weight", &[8]), ("decoder.layers.0.weight", &[8])], FileKind::Vae, "TAESD", "a TAESD"),
        (&[("encoder.block.0.layer.0.SelfAttention.q.weight", &[8])], FileKind::TextEncoder, "T5", "T5"),
    ] {
        let (_folder, path) = file(tensors);
        let report = inspect(&path, false).unwrap();
        assert_eq!((report.kind, report.family.as_deref()), (kind, Some(name)));
        let message = refused_as_checkpoint(&path);
        assert!(message.contains(said) && message.contains("; "), "{message}");
        let message = LoraFile::open(&path).unwrap_err().to_string();
        assert!(message.contains("not a LoRA"), "{message}");
    }
}

#[test]
fn loras_for_other_families() {
    for (key, name) in [
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "Flux"),
        ("lora_unet_single_blocks_0_linear1.lora_down.weight", "Flux"),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "Flux"),
        ("diffusion_model.double_blocks.0.img_attn.proj.lora_A.weight", "Flux"),
        ("double_blocks.0.processor.qkv_lora1.down.weight", "Flux"),
        ("single_blocks.0.processor.proj_lora.up.weight", "Flux"),
        ("lora_unet_joint_blocks_0_x_block_attn_proj.lora_down.weight", "Stable Diffusion 3"),
        ("transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight", "Stable Diffusion 3"),
        ("transformer_blocks.0.img_mlp.net.2.lora_B.weight", "Qwen-Image"),
        ("diffusion_model.blocks.0.cross_attn.k.lora_A.weight", "Wan"),
        ("diffusion_model.layers.0.attention.to_q.lora_A.weight", "Z-Image or Lumina"),
        ("lora_prior_unet_blocks_0.lora_down.weight", "Stable Cascade"),
    ] {
        let (_folder, path) = file(&[(key, &[2, 8])]);
        let report = inspect(&path, false).unwrap();
        assert_eq!((report.kind, report.family.as_deref()), (FileKind::Adapter, Some(name)), "{key}");
        assert_eq!(report.adapter.unwrap().algorithms, ["LoRA"].into(), "{key}");
        // Whatever it is given as, no remedy leads to another refusal.
        let said = format!("it is a LoRA for {name}; only those of SD1.x, SD2.x and SDXL are supported");
        let message = LoraFile::open(&path).unwrap_err().to_string();
        assert!(message.ends_with(&said), "{message}");
        let message = refused_as_checkpoint(&path);
        assert!(message.ends_with(&said), "{message}");
    }
}

/// Their names are those of LoRAs for SDXL; widths tell.
#[test]
fn loras_for_the_refiner() {
    for (key, width, name) in [
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight", 1280, "SDXL refiner"),
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_down.weight", 768, "SDXL refiner"),
        ("lora_unet_middle_block_1_transformer_blocks_3_attn1_to_v.hada_w1_b", 1536, "SDXL refiner"),
        ("unet.down_blocks.1.attentions.0.transformer_blocks.3.attn2.to_k.lora_A.weight", 1280, "SDXL refiner"),
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight", 2048, "SDXL base"),
        ("lora_unet_input_blocks_7_1_transformer_blocks_0_attn1_to_q.lora_down.weight", 1280, "SDXL base"),
        ("unet.down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k.lora_A.weight", 2048, "SDXL base"),
        ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight", 768, "Stable Diffusion 1.x"),
    ] {
        let (_folder, path) = file(&[(key, &[2, width])]);
        assert_eq!(inspect(&path, false).unwrap().family.as_deref(), Some(name), "{key}");
        let message = refused_as_checkpoint(&path);
        let of_refiner = message.contains("it is a LoRA for the SDXL refiner; only those of");
        assert_eq!(of_refiner, name == "SDXL refiner", "{message}");
        let message = LoraFile::open(&path).unwrap_err().to_string();
        assert_eq!(message.contains("it is a LoRA for the SDXL refiner"), of_refiner, "{message}");
    }
}

/// Folders of diffusers say by their pipeline what they are.
#[test]
fn folders_of_relatives() {
    for (class, networks, said) in [
        ("StableUnCLIPImg2ImgPipeline", &["unet", "vae", "text_encoder"][..], "it is an unCLIP model"),
        ("StableDiffusionUpscalePipeline", &["unet", "vae", "text_encoder"], "it is the x4 upscaler of SD2.x"),
        ("StableDiffusionXLImg2ImgPipeline", &["unet", "vae", "text_encoder_2"], "it is the SDXL refiner"),
        ("StableVideoDiffusionPipeline", &["unet", "vae"], "it is Stable Video Diffusion"),
        ("KolorsPipeline", &["unet", "vae", "text_encoder"], "it is Kolors"),
        ("FluxPipeline", &["transformer", "vae"], "it is a model of the Flux family"),
        ("StableDiffusion3Pipeline", &["transformer", "vae"], "it is a model of the Stable Diffusion 3 family"),
        ("NewPipeline", &["transformer", "vae"], "it is a NewPipeline without a UNet"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model_index.json"), format!("{{\"_class_name\": \"{class}\"}}")).unwrap();
        for network in networks {
            std::fs::create_dir(folder.path().join(network)).unwrap();
        }
        let message = refused_as_checkpoint(folder.path());
        assert!(message.contains(said), "{class}: {message}");
        assert_eq!(inspect(folder.path(), false).unwrap_err().to_string(), message);
    }
}

/// A folder of diffusers of this pipeline and scheduler, with a UNet of so many input channels.
fn folder(class: &str, scheduler: &str, channels: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model_index.json"), format!("{{\"_class_name\": \"{class}\"}}")).unwrap();
    let text: (&str, &[usize]) = ("text_model.encoder.layers.0.self_attn.q_proj.weight", &[8, 8]);
    let first = [8, channels, 3, 3];
    let mut networks = vec![
        ("unet/diffusion_pytorch_model", vec![("conv_in.weight", &first[..])]),
        (
            "vae/diffusion_pytorch_model",
            vec![("decoder.conv_in.weight", &[8, 4, 3, 3][..]), ("encoder.conv_in.weight", &[8, 3, 3, 3])],
        ),
        ("text_encoder/model", vec![text]),
    ];
    if class.contains("XL") {
        networks.push(("text_encoder_2/model", vec![text]));
    }
    for (network, tensors) in networks {
        let (_place, made) = file(&tensors);
        let path = folder.path().join(format!("{network}.safetensors"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(made, path).unwrap();
    }
    std::fs::create_dir(folder.path().join("scheduler")).unwrap();
    std::fs::write(folder.path().join("scheduler/scheduler_config.json"), scheduler).unwrap();
    folder
}

/// By channels alone nobody knows what they are for.
#[test]
fn folders_with_eight_input_channels() {
    for (class, name) in [
        ("MarigoldDepthPipeline", "Stable Diffusion 1.x, UNet of 8 input channels"),
        ("StableDiffusionLatentUpscalePipeline", "Stable Diffusion 1.x, UNet of 8 input channels"),
        ("StableDiffusionXLInstructPix2PixPipeline", "SDXL, UNet of 8 input channels"),
    ] {
        let folder = folder(class, "{}", 8);
        assert_eq!(inspect(folder.path(), false).unwrap().family.as_deref(), Some(name), "{class}");
        let message = refused_as_checkpoint(folder.path());
        assert!(message.contains("it is a model whose UNet has 8 input channels"), "{class}: {message}");
    }
}

/// Models of the same networks are told by the noise that they were trained with.
#[test]
fn folders_of_other_noise_schedules() {
    let xl = "StableDiffusionXLPipeline";
    let edit = "StableDiffusionXLInstructPix2PixPipeline";
    let playground = "it is Playground v2.5 (SDXL with other latents and another noise schedule, EDM)";
    for (class, scheduler, prediction, said) in [
        (xl, "EDMDPMSolverMultistepScheduler", "epsilon", playground),
        (xl, "EDMEulerScheduler", "epsilon", playground),
        (xl, "EDMEulerScheduler", "v_prediction", "it is CosXL (SDXL with another noise schedule, EDM); use the base"),
        (edit, "EDMEulerScheduler", "v_prediction", "it is CosXL edit"),
        ("StableDiffusionPipeline", "EDMEulerScheduler", "epsilon", "another noise schedule (EDMEulerScheduler); use"),
        (xl, "FlowMatchEulerDiscreteScheduler", "epsilon", "another noise schedule (FlowMatchEulerDiscreteScheduler)"),
    ] {
        let settings = format!("{{\"_class_name\": \"{scheduler}\", \"prediction_type\": \"{prediction}\"}}");
        let folder = folder(class, &settings, 4);
        let message = refused_as_checkpoint(folder.path());
        assert!(message.contains(said), "{class} {scheduler}: {message}");
        assert_eq!(inspect(folder.path(), false).unwrap_err().to_string(), message);
    }
    let ours = folder(xl, r#"{"_class_name": "EulerDiscreteScheduler", "prediction_type": "epsilon"}"#, 4);
    Checkpoint::open(ours.path()).unwrap();
}

/// Tensors of shapes that nobody expects end no program.
#[test]
fn odd_shapes_are_described() {
    for name in [
        "text_model.final_layer_norm.weight",
        "emb_params",
        "clip_l",
        "lora_unet_a_attn2_to_k.lora_down.weight",
        "lora_unet_a.alpha",
        "lora_unet_a.dora_scale",
        "lora_te_b.lora_mid.weight",
        "model.diffusion_model.input_blocks.0.0.weight",
        "down_blocks.0.attn2.to_k.weight",
        "v_pred",
    ] {
        for shape in [&[][..], &[0], &[0, 0, 0], &[1, 1, 1, 1, 1, 1, 1, 1, 1], &[3, 0, 1 << 60]] {
            let (_folder, path) = file(&[(name, shape), ("mid_block.a", &[1])]);
            inspect(&path, true).unwrap();
            assert!(Checkpoint::open(&path).is_err() && LoraFile::open(&path).is_err());
        }
    }
    let (_folder, path) = file(&[("text_model.final_layer_norm.weight", &[])]);
    let report = inspect(&path, false).unwrap();
    assert_eq!((report.kind, report.family), (FileKind::TextEncoder, None));
}

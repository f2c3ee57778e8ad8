//! What says that a model predicts v, and that its noise leaves nothing at the last timestep: one row for each form that
//! programs write.

use std::collections::HashMap;

use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Prediction;
use lorabake_weights::inspect::inspect;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::golden;

const EPSILON: Option<Prediction> = Some(Prediction::Epsilon);
const V: Option<Prediction> = Some(Prediction::V { zero_terminal_snr: false });
const ZERO_SNR: Option<Prediction> = Some(Prediction::V { zero_terminal_snr: true });

/// A checkpoint with these marks, of any shape, and this metadata.
fn marked(marks: &[(&str, &[usize])], metadata: &[(&str, &str)]) -> Vec<u8> {
    let names = golden::key_names();
    let mut views = Vec::new();
    for (key, _) in &names {
        views.push((key.as_str(), TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap()));
    }
    for (name, shape) in marks {
        let bytes = &[0; 64][..4 * shape.iter().product::<usize>()];
        views.push((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    }
    let mut texts = HashMap::new();
    for (key, value) in metadata {
        texts.insert(key.to_string(), value.to_string());
    }
    safetensors::serialize(views, Some(texts)).unwrap()
}

/// Marks, metadata, the settings file beside the checkpoint, and what follows.
type Case<'c> = (&'c [(&'c str, &'c [usize])], &'c [(&'c str, &'c str)], &'c str, Option<Prediction>);

#[test]
fn every_form_is_understood() {
    let cases: &[Case<'_>] = &[
        (&[], &[], "", None),
        // ComfyUI, web UIs, OneTrainer, SimpleTuner: tensors without a number, or with some.
        (&[("v_pred", &[0])], &[], "", V),
        (&[("v_pred", &[])], &[], "", V),
        (&[("v_pred", &[1])], &[], "", V),
        (&[("v_pred", &[0]), ("ztsnr", &[0])], &[], "", ZERO_SNR),
        (&[("v_pred", &[]), ("ztsnr", &[])], &[], "", ZERO_SNR),
        (&[("v_pred", &[2, 3]), ("ztsnr", &[0, 5])], &[], "", ZERO_SNR),
        (&[("ztsnr", &[0])], &[("modelspec.prediction_type", "v")], "", ZERO_SNR),
        // ComfyUI and the web UI look at it beside v_pred only.
        (&[("ztsnr", &[0])], &[], "", None),
        (&[("ztsnr", &[0])], &[("modelspec.prediction_type", "epsilon")], "", EPSILON),
        (&[("v_pred", &[0])], &[("ss_zero_terminal_snr", "True")], "", ZERO_SNR),
        // Stability's specification, as sd-scripts and others write it.
        (&[], &[("modelspec.prediction_type", "v")], "", V),
        (&[], &[("modelspec.prediction_type", "V_Prediction")], "", V),
        (&[], &[("modelspec.prediction_type", "v-prediction")], "", V),
        (&[], &[("modelspec.prediction_type", "epsilon")], "", EPSILON),
        (&[], &[("modelspec.architecture", "stable-diffusion-v2-768-v")], "", V),
        (&[], &[("modelspec.architecture", "stable-diffusion-xl-v1-base")], "", None),
        // ComfyUI.
        (&[], &[("modelspec.predict_key", "v")], "", V),
        (&[], &[("modelspec.predict_key", "epsilon")], "", EPSILON),
        // sd-scripts.
        (&[], &[("ss_v_parameterization", "True")], "", V),
        (&[], &[("ss_v_parameterization", "true"), ("ss_zero_terminal_snr", "True")], "", ZERO_SNR),
        (&[], &[("ss_v_parameterization", "False")], "", EPSILON),
        (&[], &[("ss_base_model_version", "sdxl_base_v1-0_v")], "", V),
        (&[], &[("ss_base_model_version", "sd_v2")], "", EPSILON),
        (&[], &[("modelspec.prediction_type", "v"), ("ss_zero_terminal_snr", "True")], "", ZERO_SNR),
        // The web UI's settings beside a checkpoint, of the original code and of Stability's later one.
        (&[], &[], "model:\n  params:\n    parameterization: \"v\"\n    linear_start: 0.00085\n", V),
        (&[], &[], "    parameterization: v  # velocity\n", V),
        (&[], &[], "    parameterization: 'eps'\n", EPSILON),
        (&[], &[], "      target: sgm.modules.diffusionmodules.denoiser_scaling.VScaling\n", V),
        (&[], &[], "      target: sgm.modules.diffusionmodules.denoiser_scaling.EpsScaling\n", EPSILON),
        (&[], &[], "parameterization: v\nrescale_betas_zero_snr: True\n", ZERO_SNR),
        (&[], &[], "model:\n  base_learning_rate: 1.0e-4\n", None),
        (&[], &[], "this is\tno YAML: \u{fffd}", None),
        // The file itself counts before what lies beside it.
        (&[("v_pred", &[0])], &[("modelspec.prediction_type", "epsilon")], "", V),
        (&[], &[("modelspec.prediction_type", "epsilon")], "parameterization: v\n", EPSILON),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let config = folder.path().join("m.yaml");
    for (marks, metadata, yaml, expected) in cases {
        std::fs::write(&path, marked(marks, metadata)).unwrap();
        std::fs::write(&config, yaml).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.prediction(), *expected, "{marks:?} {metadata:?} {yaml}");
        assert!(checkpoint.unexpected_tensors().is_empty(), "{marks:?}");
        assert_eq!(inspect(&path, false).unwrap().prediction, *expected, "inspect: {marks:?} {metadata:?} {yaml}");
    }
}

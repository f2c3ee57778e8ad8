//! Pictures that a ControlNet steers.

use std::path::Path;

use lorabake_generate::control::{ControlResize, ControlUnit, Preprocessor};
use lorabake_model::control::{ControlNet, Mode};
use lorabake_ops::WeightDtype;
use lorabake_weights::network_file::control;

use crate::asked::{cases, difference, golden, painter_of, request};
use crate::made::picture;
use crate::made_net::control_net;

/// The name under which the net is held.
const NET: &str = "net";

#[test]
fn steered_pictures_are_those_of_diffusers() {
    let golden = golden("control");
    let mut different = Vec::new();
    let names = cases(&golden);
    for name in &names {
        let (model, sampler) = name.split_once('.').unwrap();
        let painter = painter_of(model);
        let file = control::from_bytes(NET, control_net(painter.checkpoint()).into(), painter.checkpoint()).unwrap();
        painter.hold_control_net(Path::new(NET), ControlNet::read(&file, WeightDtype::F32).unwrap());
        let mut request = request(model, sampler, [128, 64]);
        request.noise = Some(golden.numbers(&format!("{name}.noise")).to_vec());
        let weight = match name.as_str() {
            "sd15.dpmpp_2m_karras" | "sdxl.euler" => 0.6,
            _ => 1.0,
        };
        request.control.push(ControlUnit {
            model: NET.into(),
            image: picture(128, 64),
            preprocessor: Preprocessor::None,
            processor_res: None,
            resize: ControlResize::JustResize,
            weight,
            start: 0.0,
            end: 1.0,
            mode: Mode::Balanced,
        });
        different.extend(difference(&golden, name, &painter, &request));
    }
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(names.len(), 5);
}

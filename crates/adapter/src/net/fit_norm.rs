//! The tensors of a file's module → [`NormChange`], if they fit the norm: LyCORIS' `w_norm` and `b_norm`, or differences.

use std::collections::BTreeMap;

use super::fit::NetTensor;
use crate::norm::NormChange;

impl NormChange {
    /// The change with these tensors on a norm of `width` channels.
    ///
    /// # Errors
    /// If they are no change of a norm, are of another size, or not finite.
    pub fn fit(width: usize, tensors: &BTreeMap<&str, NetTensor<'_>>) -> Result<Self, String> {
        let scale = read(["w_norm", "diff"], width, tensors)?;
        let shift = read(["b_norm", "diff_b"], width, tensors)?;
        if scale.is_none() && shift.is_none() {
            return Err("it has nothing that changes a norm".into());
        }
        Ok(Self { scale: scale.unwrap_or_else(|| vec![0.0; width]), shift })
    }
}

/// The tensor that has one of these names, if there is one.
fn read(names: [&str; 2], width: usize, tensors: &BTreeMap<&str, NetTensor<'_>>) -> Result<Option<Vec<f32>>, String> {
    let Some((name, tensor)) = names.iter().find_map(|name| Some((name, tensors.get(name)?))) else {
        return Ok(None);
    };
    if tensor.values.len() != width {
        return Err(format!("{name} has shape {:?}, this norm has {width} channels", tensor.shape));
    }
    if tensor.values.iter().any(|value| !value.is_finite()) {
        return Err(format!("{name} holds values that are infinite or not a number"));
    }
    Ok(Some(tensor.values.to_vec()))
}

//! Reads recorded tensors and compares with them.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

/// One golden file.
pub struct Golden(Vec<u8>);

impl Golden {
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        Self(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    fn raw<const N: usize>(&self, name: &str, dtype: Dtype) -> (Vec<usize>, Vec<[u8; N]>) {
        let file = SafeTensors::deserialize(&self.0).expect("a safetensors file");
        let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tensor.dtype(), dtype, "{name}");
        (tensor.shape().to_vec(), tensor.data().as_chunks().0.to_vec())
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.raw(name, Dtype::F32).1.into_iter().map(f32::from_le_bytes).collect()
    }

    /// Timesteps, recorded as i32.
    pub fn timesteps(&self, name: &str) -> Vec<usize> {
        self.raw(name, Dtype::I32).1.into_iter().map(|bytes| i32::from_le_bytes(bytes) as usize).collect()
    }

    pub fn tensor(&self, name: &str) -> Tensor<4> {
        let shape: [usize; 4] = self.raw::<4>(name, Dtype::F32).0.try_into().expect("four dimensions");
        Tensor::from_data(TensorData::new(self.floats(name), shape), &Device::flex())
    }

    /// The tensors stacked along a first, fifth dimension.
    pub fn tensors(&self, name: &str) -> Vec<Tensor<4>> {
        let shape = self.raw::<4>(name, Dtype::F32).0;
        let shape: [usize; 5] = shape.try_into().expect("five dimensions");
        let all: Tensor<5> = Tensor::from_data(TensorData::new(self.floats(name), shape), &Device::flex());
        (0..shape[0]).map(|index| all.clone().narrow(0, index, 1).squeeze_dim(0)).collect()
    }
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32 values")
}

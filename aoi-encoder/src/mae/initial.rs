//! The weights that training starts from.

use crate::chance::{Chance, Purpose};
use crate::{Params, Role, Table};

/// Deviation of tokens and learned positions.
const SPREAD: f64 = 0.02;

/// Layer scales of encoders trained from nothing (Touvron et al. 2021, for up to 18 blocks).
const SCALE: f32 = 0.1;

/// Matrices uniform within `sqrt(6 / (in + out))` (Glorot and Bengio 2010), the patch projection as the linear layer it is; tokens
/// and positions normal with deviation 0.02; norms one; biases zero.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
pub(crate) fn fill(params: &mut Params<f32>, seed: u64) {
    let table: std::sync::Arc<Table> = params.table().clone();
    for (place, tensor) in table.tensors().iter().enumerate() {
        let mut chance = Chance::new(seed, Purpose::Weights, [place as u64, 0]);
        let (outputs, inputs) = (tensor.shape[0], tensor.len() / tensor.shape[0]);
        let bound = (6.0 / (inputs + outputs) as f64).sqrt();
        for value in params.get_mut(&tensor.name) {
            *value = match tensor.role {
                Role::Matrix => chance.between(-bound, bound) as f32,
                Role::Token | Role::Position => (SPREAD * chance.normal()) as f32,
                Role::Norm => 1.0,
                Role::Bias => 0.0,
                Role::Scale => SCALE,
            };
        }
    }
}

//! Networks whose weights are drawn: speed does not depend on what they learned.

use std::sync::Arc;

use aoi_encoder::{Config, Params, Role, Table};
use aoi_testing::Seeded;

use crate::error::Error;

/// Parameters of sensible size: norms around one, matrices by their inputs.
///
/// # Errors
/// When the configuration is not sound.
pub fn drawn(config: &Config, seed: u64) -> Result<Params<f32>, Error> {
    let table = Arc::new(Table::new(config)?);
    let (mut params, mut seeded) = (Params::<f32>::zeros(table.clone()), Seeded::new(seed));
    for tensor in table.tensors() {
        let inputs: usize = tensor.shape[1..].iter().product();
        let (centre, spread) = match tensor.role {
            Role::Norm | Role::Scale => (1.0, 0.1),
            Role::Matrix => (0.0, (1.0 / inputs as f32).sqrt()),
            _ => (0.0, 0.1),
        };
        let noise = seeded.normals_f32(tensor.len());
        params.get_mut(&tensor.name).iter_mut().zip(noise).for_each(|(p, n)| *p = centre + spread * n);
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_norms_lie_around_one() {
        let config = Config { depth: 1, ..Config::paper() };
        let draw = |seed| drawn(&config, seed).unwrap();
        let (first, again, other) = (draw(1), draw(1), draw(2));
        let table = Table::new(&config).unwrap();
        for tensor in table.tensors() {
            let name = &tensor.name;
            assert_eq!(first.get(name), again.get(name), "{name}");
            assert_ne!(first.get(name), other.get(name), "{name}");
            if tensor.role == Role::Norm {
                let mean = first.get(name).iter().sum::<f32>() / tensor.len() as f32;
                assert!((mean - 1.0).abs() < 0.1, "{name}: {mean}");
            }
        }
    }
}

//! Which numbers are trained, and how the network's weights come from them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Network;
use super::network::Depth;
use crate::chance::{Chance, Purpose};
use crate::gradient::{Matrix, Scalar, Start};
use crate::{Error, Params, Precision, Result, Role, Table};

/// What is trained besides the head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Tuning {
    /// Every weight of the encoder.
    Full,
    /// Nothing.
    Frozen,
    /// Queries and values of every block, by a change of low rank: `W + alpha / rank B A`.
    Lora {
        /// Rows of A and columns of B.
        rank: usize,
        /// The change's scale, times the rank.
        alpha: f64,
    },
}

impl Tuning {
    /// The published numbers: rank 3, alpha 16.
    pub const LORA: Self = Self::Lora { rank: 3, alpha: 16.0 };
}

/// One matrix that a low-rank change is added to: rows of a block's projection to queries, keys and values.
#[derive(Debug, Clone)]
struct Change {
    /// First entry of the rows, in the network's parameters.
    rows: usize,
    /// First entries of A \[r, d\] and B \[d, r\], among the trained numbers.
    down: usize,
    up: usize,
}

/// The numbers that are trained, in a table of their own, and the way from them to the network's weights and back.
///
/// Forward: `expand` writes the network's weights. Backward: `pull` takes the network's gradient to that of the trained numbers.
///
/// # Source
/// Low-rank changes: Hu et al. 2021, arXiv 2106.09685.
#[derive(Debug, Clone)]
pub struct Trained {
    tuning: Tuning,
    table: Arc<Table>,
    /// Where `head.*`, the last tensors of both, starts here and in the network.
    head: [usize; 2],
    changes: Vec<Change>,
    width: usize,
}

impl Trained {
    /// What `tuning` trains of `network`.
    ///
    /// # Errors
    /// [`Error::Config`] for an impossible rank or alpha.
    pub fn new(network: &Network, tuning: Tuning) -> Result<Self> {
        let (config, whole) = (network.config(), network.table());
        let heads = || whole.tensors().iter().filter(|t| t.name.starts_with("head."));
        let head_in_network = heads().next().map_or(0, |t| t.offset);
        let (d, mut table, mut changes) = (config.width, Table::default(), Vec::new());
        match tuning {
            Tuning::Full => table = (**whole).clone(),
            Tuning::Frozen => {}
            Tuning::Lora { rank, alpha } => {
                if rank == 0 || rank > d {
                    return Err(Error::config("tune.lora.rank", format!("1 to {d}"), &rank));
                }
                if !(alpha > 0.0 && alpha.is_finite()) {
                    return Err(Error::config("tune.lora.alpha", "above 0", &alpha));
                }
                for block in 0..config.depth {
                    let qkv = whole.get(&format!("block.{block}.attention.qkv.weight"));
                    let rows = qkv.map_or(0, |t| t.offset);
                    for (part, name) in [(0, "query"), (2, "value")] {
                        let change = Change {
                            rows: rows + part * d * d,
                            down: table.len(),
                            up: table.len() + rank * d,
                        };
                        let name = format!("block.{block}.lora.{name}");
                        table.push(Some(block), Role::Matrix, &format!("{name}.down"), &[rank, d])?;
                        table.push(Some(block), Role::Matrix, &format!("{name}.up"), &[d, rank])?;
                        changes.push(change);
                    }
                }
            }
        }
        let head = if tuning == Tuning::Full { head_in_network } else { table.len() };
        if tuning != Tuning::Full {
            for tensor in heads() {
                table.push(None, tensor.role, &tensor.name, &tensor.shape)?;
            }
        }
        Ok(Self { tuning, table: Arc::new(table), head: [head, head_in_network], changes, width: d })
    }

    /// Names, shapes and places of the trained numbers.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// How far back gradients are needed.
    pub fn depth(&self) -> Depth {
        if self.tuning == Tuning::Frozen { Depth::Head } else { Depth::Whole }
    }

    /// Where training starts: the network's weights where they are trained; A uniform within `1 / sqrt(d)` by `seed` and B zero, so that
    /// nothing is changed yet; a head whose last weights are small and whose bias says how frequent each class is, convolutions before them normal with variance
    /// `2 / inputs` (He et al. 2015, arXiv 1502.01852), norms that change nothing.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub fn initial(&self, network: &Params<f32>, odds: &[f64], seed: u64) -> Params<f32> {
        let mut trained = Params::zeros(self.table.clone());
        if self.tuning == Tuning::Full {
            trained.values_mut().copy_from_slice(network.values());
        }
        let bound = 1.0 / (self.width as f64).sqrt();
        for (place, tensor) in self.table.tensors().iter().enumerate() {
            let mut chance = Chance::new(seed, Purpose::Head, [place as u64, 0]);
            let values = trained.get_mut(&tensor.name);
            let part = tensor.name.rsplit('.').next();
            if part == Some("down") {
                values.fill_with(|| chance.between(-bound, bound) as f32);
            } else if tensor.name == "head.weight" {
                values.fill_with(|| (0.01 * chance.normal()) as f32);
            } else if tensor.name.ends_with(".conv.weight") {
                let spread = (2.0 / (tensor.len() / tensor.shape[0]) as f64).sqrt();
                values.fill_with(|| (spread * chance.normal()) as f32);
            } else if tensor.name.starts_with("head.") && tensor.role == Role::Norm {
                values.fill(1.0);
            } else if tensor.name == "head.bias" {
                values.iter_mut().zip(odds).for_each(|(v, odds)| *v = odds.ln() as f32);
            }
        }
        trained
    }

    /// Writes the network's weights: `base` with what is trained in its place.
    pub fn expand<T: Scalar>(&self, base: &[T], trained: &[T], weights: &mut [T]) {
        if self.tuning == Tuning::Full {
            weights.copy_from_slice(trained);
            return;
        }
        weights.copy_from_slice(base);
        let [here, there] = self.head;
        weights[there..].copy_from_slice(&trained[here..]);
        let d = self.width;
        for (change, scale, rank) in self.scaled() {
            let down = Matrix::new(&trained[change.down..][..rank * d], d);
            let up = Matrix::new(&trained[change.up..][..rank * d], rank);
            T::product(
                Precision::F32,
                (&mut weights[change.rows..][..d * d], d),
                Start::Target,
                up.times(down).scaled(T::of(scale)),
            );
        }
    }

    /// `W' = W + s B A` gives `dB = s dW' A^T` and `dA = s B^T dW'`; whatever else is trained stands for itself.
    pub fn pull<T: Scalar>(&self, trained: &[T], dweights: &[T], dtrained: &mut [T]) {
        if self.tuning == Tuning::Full {
            dtrained.copy_from_slice(dweights);
            return;
        }
        let [here, there] = self.head;
        dtrained[here..].copy_from_slice(&dweights[there..]);
        let d = self.width;
        for (change, scale, rank) in self.scaled() {
            let down = Matrix::new(&trained[change.down..][..rank * d], d);
            let up = Matrix::new(&trained[change.up..][..rank * d], rank);
            let dw = Matrix::new(&dweights[change.rows..][..d * d], d);
            let scale = T::of(scale);
            T::product(
                Precision::F32,
                (&mut dtrained[change.down..][..rank * d], d),
                Start::Zero,
                up.t().times(dw).scaled(scale),
            );
            T::product(
                Precision::F32,
                (&mut dtrained[change.up..][..rank * d], rank),
                Start::Zero,
                dw.times(down.t()).scaled(scale),
            );
        }
    }

    fn scaled(&self) -> impl Iterator<Item = (&Change, f64, usize)> {
        let (rank, scale) = match self.tuning {
            Tuning::Lora { rank, alpha } => (rank, alpha / rank as f64),
            _ => (1, 0.0),
        };
        self.changes.iter().map(move |change| (change, scale, rank))
    }

    /// The factor of the learning rate of every tensor: 1 for the head and the final norm, `decay` for the last block, `decay^2` for the one
    /// before it, and so on; what comes before the blocks has one power more than the first block.
    pub fn rate_factors(&self, depth: usize, decay: f64) -> Vec<f64> {
        let power = |tensor: &crate::Tensor| match tensor.block {
            Some(block) => depth - block,
            None if ["norm.", "head."].iter().any(|prefix| tensor.name.starts_with(prefix)) => 0,
            None => depth + 1,
        };
        self.table.tensors().iter().map(|t| decay.powf(power(t) as f64)).collect()
    }
}

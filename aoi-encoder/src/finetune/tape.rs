//! What a segmentation network's forward keeps for its backward.

use super::upernet::UpernetTape;
use crate::gradient::{Scalar, Tape};

/// What a forward pass keeps for its backward, and scratch; made once and used again.
#[derive(Debug, Default)]
pub struct NetworkTape<T> {
    pub(super) pixels: Vec<T>,
    pub(super) x: Vec<T>,
    pub(super) encoder: Tape<T>,
    /// The patches of one block, without class token and registers, and their gradient.
    pub(super) patches: Vec<T>,
    /// What the head reads, \[b * t, d\] a level.
    pub(super) levels: Vec<Vec<T>>,
    pub(super) dlevels: Vec<Vec<T>>,
    pub(super) standard: Vec<T>,
    pub(super) upernet: UpernetTape<T>,
    pub(super) small: Vec<T>,
    pub(super) logits: Vec<T>,
    pub(super) dlogits: Vec<T>,
}

impl<T: Scalar> NetworkTape<T> {
    /// An empty tape. With `recompute` only every block's input is kept and the rest computed again.
    pub fn new(recompute: bool) -> Self {
        Self { encoder: Tape::new(recompute), ..Self::default() }
    }
}

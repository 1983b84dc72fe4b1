//! The twin of `rescore.wgsl`.

use super::bounds::bounds;
use super::{Parameters, State};
use crate::search::gpu::pack::place;

/// What the kernel reads, besides its parameters.
pub(in crate::search::gpu) struct Rescored<'a> {
    pub(in crate::search::gpu) rows: &'a [f32],
    pub(in crate::search::gpu) queries: &'a [f32],
    pub(in crate::search::gpu) bias: &'a [f32],
    pub(in crate::search::gpu) terms: &'a [[f32; 4]],
    pub(in crate::search::gpu) coefficients: &'a [[[f32; 4]; 2]],
    pub(in crate::search::gpu) chosen: &'a [u32],
    pub(in crate::search::gpu) state: &'a [State],
}

/// Keys of both bounds for the rows of the chosen bins, `[q, capacity, 16]`; zeros in unused slots.
pub(in crate::search::gpu) fn rescore(p: &Parameters, given: &Rescored<'_>) -> Vec<[u32; 2]> {
    let (width, capacity) = (p.width as usize, p.capacity as usize);
    let mut scored = vec![[0; 2]; p.queries as usize * capacity * 16];
    for query in 0..p.queries as usize {
        let kept = (given.state[query].bins as usize).min(capacity);
        for slot in query * capacity..query * capacity + kept {
            let bin = given.chosen[slot] as usize;
            for lane in 0..16 {
                let row = bin * 16 + lane;
                let product: f32 = (0..width)
                    .map(|c| given.rows[place(row, c, width)] * given.queries[place(query, c, width)])
                    .sum();
                scored[slot * 16 + lane] =
                    bounds(product + given.bias[row], given.terms[bin], given.coefficients[query][1]);
            }
        }
    }
    scored
}

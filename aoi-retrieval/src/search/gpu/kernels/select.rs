//! The twins of `select_bins.wgsl` and `merge_rows.wgsl`; kept entries are in ascending order here, in any order there.

use super::bounds::bounds;
use super::threshold::kth_largest;
use super::{Parameters, State};

/// The bins that `query` keeps of a shard, all of them; its state is brought up to date.
pub(in crate::search::gpu) fn select_bins(
    p: &Parameters,
    best: &[f32],
    terms: &[[f32; 4]],
    coefficients: [f32; 4],
    state: &mut State,
) -> Vec<u32> {
    let items: Vec<[u32; 2]> = best.iter().zip(terms).map(|(&b, &t)| bounds(b, t, coefficients)).collect();
    let kth = kth_largest(items.iter().map(|i| i[0]), p.k as usize, state.threshold);
    let threshold = kth.max(state.threshold);
    let kept: Vec<u32> = (0..).zip(&items).filter(|(_, i)| i[1] >= threshold).map(|(i, _)| i).collect();
    state.bins = u32::try_from(kept.len()).unwrap();
    state.total += state.bins;
    state.overflow |= u32::from(state.bins > p.capacity);
    kept
}

/// The rows that a query keeps of its list so far and of the rescored bins: row of the bank, lower key, upper key.
pub(in crate::search::gpu) fn merge_rows(
    p: &Parameters,
    before: &[[u32; 3]],
    chosen: &[u32],
    scored: &[[u32; 2]],
    state: &mut State,
) -> Vec<[u32; 3]> {
    let mut items = before.to_vec();
    for (bin, rows) in chosen.iter().zip(scored.as_chunks::<16>().0) {
        for (row, keys) in (bin * 16..).zip(rows).filter(|r| r.0 < p.rows) {
            items.push([p.first_row + row, keys[0], keys[1]]);
        }
    }
    let floor = state.threshold.max(1);
    let threshold = kth_largest(items.iter().map(|i| i[1]), p.k as usize, floor).max(floor);
    items.retain(|i| i[2] >= threshold);
    items.sort_unstable();
    state.rows = u32::try_from(items.len()).unwrap();
    state.threshold = threshold;
    state.overflow |= u32::from(state.rows > p.list);
    items
}

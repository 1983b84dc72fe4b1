//! The twin of `threshold.wgsl`.

/// The k-th largest of the keys that reach the floor, by a full sort; 0 when there are fewer.
pub(in crate::search::gpu) fn kth_largest(keys: impl IntoIterator<Item = u32>, k: usize, floor: u32) -> u32 {
    let mut all: Vec<u32> = keys.into_iter().filter(|&key| key >= floor).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.get(k - 1).copied().unwrap_or(0)
}

#[test]
fn the_kth_counts_repeats_and_the_floor() {
    let keys = [5, 9, 9, 1, 7];
    for (k, floor, expected) in [(1, 0, 9), (2, 0, 9), (3, 0, 7), (5, 0, 1), (6, 0, 0), (3, 7, 7), (4, 7, 0)]
    {
        assert_eq!(kth_largest(keys, k, floor), expected, "k {k}, floor {floor}");
    }
}

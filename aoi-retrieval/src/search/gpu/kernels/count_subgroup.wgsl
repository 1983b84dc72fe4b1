// Counts a digit, or nothing, for each thread of `threshold.wgsl`. Scores crowd into few digits, where single additions would
// queue up: those of a subgroup that share its first member's digit are added at once.
fn count(own: u32) {
    let first = subgroupBroadcastFirst(own);
    let shares = select(0u, 1u, own == first);
    let sharing = subgroupAdd(shares);
    let before = subgroupExclusiveAdd(shares);
    if (own == NONE) {
        return;
    }
    if (own != first) {
        atomicAdd(&histogram[own], 1u);
    } else if (before == 0u) {
        atomicAdd(&histogram[first], sharing);
    }
}

// Counts a digit, or nothing, for each thread of `threshold.wgsl`.
fn count(own: u32) {
    if (own != NONE) {
        atomicAdd(&histogram[own], 1u);
    }
}

// Bounds as sortable keys, so that every comparison is one of integers and no NaN or infinity is ever needed.
// Rust twin: `bounds.rs`.

// Relative room for the rounding of the few steps below, in either direction and whatever the rounding mode.
const WIDER: f32 = 1.00001;
const VALUE_ROUNDING: f32 = 2.4e-7; // > 2^-22

// Order of f32 as order of u32; both zeros share a key. No finite number has key 0.
fn key(x: f32) -> u32 {
    var bits = bitcast<u32>(x);
    if (bits == 0x80000000u) {
        bits = 0u;
    }
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// Keys of a lower and an upper bound of a score that lies within the error of `value`.
// terms: spread, residual, slack, absolute error of a bin; coefficients: what meets the first three, and an error of the query's own.
fn bounds(value: f32, terms: vec4<f32>, coefficients: vec4<f32>) -> vec2<u32> {
    let error = (dot(terms.xyz, coefficients.xyz) + (terms.w + coefficients.w)) * WIDER + abs(value) * VALUE_ROUNDING;
    return vec2<u32>(key(value - error), key(value + error));
}

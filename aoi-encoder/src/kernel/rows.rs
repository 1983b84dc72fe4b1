//! Layer norm, GELU and `SiLU` over rows.

#![expect(
    clippy::inline_always,
    reason = "a body must be inlined into the function that has the instructions enabled"
)]

use super::compiled::{dispatch, mul_add, with_avx2, with_avx512};
use super::softmax::exp;
use super::{Epilogue, Instructions};

/// Lanes of a sum along a row: four vectors of 512 bits, so that none waits for its own last addition.
const SUMS: usize = 64;

/// `out = (x - mean) / sqrt(variance + epsilon) * weight + bias` over one row; the slices are equally long.
pub(crate) fn layer_norm(
    instructions: Instructions,
    x: &[f32],
    (weight, bias, epsilon): (&[f32], &[f32], f32),
    out: &mut [f32],
) {
    dispatch!(instructions, layer_norm_row(x, weight, bias, epsilon, out));
}

#[inline(always)]
fn layer_norm_row<const FUSED: bool>(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let d = x.len() as f32;
    let mean = lane_sum(x, |v| v) / d;
    let variance = lane_sum(x, |v| (v - mean) * (v - mean)) / d;
    let scale = 1.0 / (variance + epsilon).sqrt();
    for ((o, &x), (&w, &b)) in out.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
        *o = mul_add::<FUSED>((x - mean) * scale, w, b);
    }
}

/// The sum of `f` over `x`, in 64 lanes and then across them.
#[inline(always)]
fn lane_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; SUMS];
    let (chunks, rest) = x.as_chunks::<SUMS>();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += f(v);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane += f(v);
    }
    fold(lanes, |a, b| a + b)
}

/// All lanes in one, the upper half with the lower one again and again: as few steps one after the other as can be.
#[inline(always)]
pub(super) fn fold<const N: usize>(mut lanes: [f32; N], f: impl Fn(f32, f32) -> f32) -> f32 {
    const { assert!(N.is_power_of_two()) };
    let mut n = N;
    while n > 1 {
        n /= 2;
        let (low, high) = lanes[..2 * n].split_at_mut(n);
        low.iter_mut().zip(high).for_each(|(low, high)| *low = f(*low, *high));
    }
    lanes[0]
}

/// The exact GELU of the first 32 numbers of n rows `stride` apart, in place, to about 3e-7 of the larger of 1 and |x|.
pub(crate) fn gelu(instructions: Instructions, n: usize, (x, stride): (&mut [f32], usize)) {
    dispatch!(instructions, gelu_panel(x, stride, n));
}

#[inline(always)]
fn gelu_panel<const FUSED: bool>(x: &mut [f32], stride: usize, n: usize) {
    for row in x.chunks_mut(stride).take(n) {
        for x in &mut row[..32] {
            *x = gelu_of::<FUSED>(*x);
        }
    }
}

/// `x / 2 (1 + erf(x / sqrt 2))`.
#[inline(always)]
fn gelu_of<const FUSED: bool>(x: f32) -> f32 {
    let half = 0.5 * x;
    mul_add::<FUSED>(half, erf::<FUSED>(x * std::f32::consts::FRAC_1_SQRT_2), half)
}

/// The error function: z P(z^2) / Q(z^2) on |z| <= 4 and constant beyond, where it is one up to 1.6e-8.
///
/// P and Q were fitted for this crate by weighted least squares at Chebyshev nodes; the fit is off by 2.2e-8 before rounding.
#[inline(always)]
pub(crate) fn erf<const FUSED: bool>(z: f32) -> f32 {
    #[expect(clippy::approx_constant, reason = "a fitted coefficient near 2 / sqrt(pi), not that number")]
    const P: [f32; 6] =
        [1.128_379, 0.196_246_97, 5.346_720_4e-2, 4.003_553_6e-3, 2.880_382_4e-4, 1.974_832_7e-6];
    const Q: [f32; 6] = [1.0, 0.507_250_5, 0.116_475_59, 1.544_424_4e-2, 1.216_335_2e-3, 3.748_072e-5];
    let z = z.clamp(-4.0, 4.0);
    let t = z * z;
    let polynomial = |c: &[f32; 6]| c.iter().rev().fold(0.0, |sum, &c| mul_add::<FUSED>(sum, t, c));
    z * polynomial(&P) / polynomial(&Q)
}

/// What becomes of a block of sums: `out = sums + bias`, `out += sums + bias`, or `out = gelu(sums + bias)`, row by row.
///
/// # Shapes
/// `sums` \[n, 32\], `bias` \[32\], `out` \[n, 32\] at a stride. The rough GELU is off by 5e-5 of the larger of 1 and |x|: what comes of it is rounded to bf16.
pub(crate) fn add_block(
    instructions: Instructions,
    (sums, bias): (&[f32], &[f32; 32]),
    epilogue: Epilogue,
    (out, stride): (&mut [f32], usize),
) {
    let rows = sums.as_chunks::<32>().0;
    let out = &mut out[..(rows.len() - 1) * stride + 32];
    match epilogue {
        Epilogue::Store => dispatch!(instructions, store_rows(rows, bias, out, stride)),
        Epilogue::Add => dispatch!(instructions, accumulate_rows(rows, bias, out, stride)),
        Epilogue::Gelu => dispatch!(instructions, gelu_rows(rows, bias, out, stride)),
        Epilogue::RoughGelu => dispatch!(instructions, rough_gelu_rows(rows, bias, out, stride)),
    }
}

#[inline(always)]
fn store_rows<const FUSED: bool>(sums: &[[f32; 32]], bias: &[f32; 32], out: &mut [f32], stride: usize) {
    each_row(sums, bias, out, stride, |_, value| value);
}

#[inline(always)]
fn accumulate_rows<const FUSED: bool>(sums: &[[f32; 32]], bias: &[f32; 32], out: &mut [f32], stride: usize) {
    each_row(sums, bias, out, stride, |old, value| old + value);
}

#[inline(always)]
fn gelu_rows<const FUSED: bool>(sums: &[[f32; 32]], bias: &[f32; 32], out: &mut [f32], stride: usize) {
    each_row(sums, bias, out, stride, |_, value| gelu_of::<FUSED>(value));
}

#[inline(always)]
fn rough_gelu_rows<const FUSED: bool>(sums: &[[f32; 32]], bias: &[f32; 32], out: &mut [f32], stride: usize) {
    each_row(sums, bias, out, stride, |_, value| rough_gelu::<FUSED>(value));
}

#[inline(always)]
fn each_row(
    sums: &[[f32; 32]],
    bias: &[f32; 32],
    out: &mut [f32],
    stride: usize,
    value: impl Fn(f32, f32) -> f32,
) {
    for (sums, out) in sums.iter().zip(out.chunks_mut(stride)) {
        for ((out, sum), bias) in out[..32].iter_mut().zip(sums).zip(bias) {
            *out = value(*out, sum + bias);
        }
    }
}

/// `x (1/2 + z P(z^2))` with z = x on |x| <= 4 and constant beyond: no division, and close enough for numbers that are then rounded to bf16.
///
/// P was fitted for this crate by reweighted least squares on the error of the whole; it is off by 4.2e-5 of the larger of 1 and |x|.
#[inline(always)]
fn rough_gelu<const FUSED: bool>(x: f32) -> f32 {
    const P: [f32; 8] = [
        0.398_673_36,
        -0.065_887_78,
        9.505_359e-3,
        -1.006_479_2e-3,
        7.485_334e-5,
        -3.656_991_7e-6,
        1.041_900_3e-7,
        -1.301_191_4e-9,
    ];
    let z = x.clamp(-4.0, 4.0);
    let t = z * z;
    let sum = P.iter().rev().fold(0.0, |sum, &c| mul_add::<FUSED>(sum, t, c));
    x * mul_add::<FUSED>(z, sum, 0.5)
}

/// `u = u / (1 + exp(-u)) * v`, in place.
pub(crate) fn swiglu(instructions: Instructions, u: &mut [f32], v: &[f32]) {
    dispatch!(instructions, swiglu_row(u, v));
}

#[inline(always)]
fn swiglu_row<const FUSED: bool>(u: &mut [f32], v: &[f32]) {
    for (u, &v) in u.iter_mut().zip(v) {
        *u = *u / (1.0 + exp::<FUSED, 8>(-*u)) * v;
    }
}

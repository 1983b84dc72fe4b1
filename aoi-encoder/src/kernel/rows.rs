//! Layer norm, GELU, `SiLU` and softmax over rows, written once in plain Rust and compiled for each instruction set.
//!
//! The only `unsafe` here calls a function compiled for instructions that were found at run time.

#![expect(
    clippy::inline_always,
    reason = "a body must be inlined into the function that has the instructions enabled"
)]

use super::{Epilogue, Instructions, TileRows, tiles};

/// `a * b + c`, rounded once where the instruction set has it.
#[inline(always)]
pub(super) fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Runs `work`, inlined, with AVX2 and fused multiply-add enabled.
///
/// # Panics
/// Never where [`Instructions::Avx2`] is available; elsewhere, in debug builds.
#[inline(always)]
#[expect(unsafe_code, reason = "calls a function compiled for AVX2")]
pub(super) fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn inner<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        debug_assert!(Instructions::Avx2.is_available());
        // SAFETY: chosen only where `Instructions::is_available` said so.
        unsafe { inner(work) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    work()
}

/// Runs `work`, inlined, with AVX-512F enabled.
#[inline(always)]
#[expect(unsafe_code, reason = "calls a function compiled for AVX-512")]
fn with_avx512<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn inner<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        debug_assert!(Instructions::Avx512.is_available());
        // SAFETY: chosen only where `Instructions::is_available` said so.
        unsafe { inner(work) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    work()
}

/// Runs `work`, inlined, compiled for `instructions`.
#[inline(always)]
pub(crate) fn with<R>(instructions: Instructions, work: impl FnOnce() -> R) -> R {
    match instructions {
        Instructions::Portable => work(),
        Instructions::Avx2 => with_avx2(work),
        Instructions::Avx512 | Instructions::Avx512Bf16 | Instructions::Amx => with_avx512(work),
    }
}

/// Calls `$body::<FUSED>(arguments)` compiled for `$instructions`.
macro_rules! dispatch {
    ($instructions:expr, $body:ident($($argument:expr),*)) => {
        match $instructions {
            Instructions::Portable => $body::<false>($($argument),*),
            Instructions::Avx2 => with_avx2(#[inline(always)] || $body::<true>($($argument),*)),
            Instructions::Avx512 | Instructions::Avx512Bf16 | Instructions::Amx => with_avx512(#[inline(always)] || $body::<true>($($argument),*)),
        }
    };
}

/// Numbers handled together by softmax down columns.
const LANES: usize = 16;

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
fn fold<const N: usize>(mut lanes: [f32; N], f: impl Fn(f32, f32) -> f32) -> f32 {
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

/// Softmax numerators down every column of `panel` \[n, columns\], in place: `exp(s - max)`; `sums` gets each column's sum.
///
/// # Shapes
/// `columns = sums.len()` is 16 or 32.
pub(crate) fn softmax_columns(instructions: Instructions, panel: &mut [f32], sums: &mut [f32]) {
    if sums.len() == LANES {
        dispatch!(instructions, softmax_16(panel, sums));
    } else {
        dispatch!(instructions, softmax_32(panel, sums));
    }
}

#[inline(always)]
fn softmax_16<const FUSED: bool>(panel: &mut [f32], sums: &mut [f32]) {
    softmax::<FUSED, 16>(panel, sums);
}

#[inline(always)]
fn softmax_32<const FUSED: bool>(panel: &mut [f32], sums: &mut [f32]) {
    softmax::<FUSED, 32>(panel, sums);
}

#[inline(always)]
fn softmax<const FUSED: bool, const N: usize>(panel: &mut [f32], sums: &mut [f32]) {
    let rows = panel.as_chunks_mut::<N>().0;
    let mut largest = [f32::MIN; N];
    for row in rows.iter() {
        for (m, &s) in largest.iter_mut().zip(row) {
            *m = if s > *m { s } else { *m };
        }
    }
    let mut totals = [0.0_f32; N];
    for row in rows {
        for ((s, &m), total) in row.iter_mut().zip(&largest).zip(&mut totals) {
            *s = exp::<FUSED, 8>(*s - m);
            *total += *s;
        }
    }
    sums.copy_from_slice(&totals);
}

/// `exp(x)` for x in -87 to 88; smaller x give exp(-87), larger exp(88).
///
/// x = n ln 2 + r with |r| <= ln 2 / 2: adding 1.5 * 2^23 rounds x / ln 2 to the integer n and leaves it in the low bits, which
/// shifted into the exponent are 2^n. exp(r) is its Taylor polynomial of so many terms: within 2e-7 of itself for 8, 4e-5 for 5.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool, const TERMS: usize>(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    // ln 2 = HIGH + LOW, HIGH with few enough digits that n * HIGH is exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    const TAYLOR: [f32; 8] = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    let x = x.clamp(-87.0, 88.0);
    let shifted = mul_add::<FUSED>(x, std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = mul_add::<FUSED>(-n, LOW, mul_add::<FUSED>(-n, HIGH, x));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let series = TAYLOR[..TERMS].iter().rev().fold(0.0, |sum, &c| mul_add::<FUSED>(sum, r, c));
    series * power
}

/// `2^x` for x up to 127; x below -126 give 2^-126.
///
/// As [`exp`], with n the integer nearest to x and r = x - n, exact; the terms are those of `exp(r ln 2)`.
#[inline(always)]
fn power_of_two<const FUSED: bool, const TERMS: usize>(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    // ln(2)^k / k!.
    const TAYLOR: [f32; 8] = [
        1.0,
        std::f32::consts::LN_2,
        0.240_226_5,
        5.550_411e-2,
        9.618_129e-3,
        1.333_355_8e-3,
        1.540_353e-4,
        1.525_273_4e-5,
    ];
    let x = if x < -126.0 { -126.0 } else { x };
    let shifted = x + SHIFT;
    let r = x - (shifted - SHIFT);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let series = TAYLOR[..TERMS].iter().rev().fold(0.0, |sum, &c| mul_add::<FUSED>(sum, r, c));
    series * power
}

/// Softmax numerators along rows of scores, cut into slices for a tile product: `2^(s - max)`; `sums` gets each row's sum of what was cut.
///
/// # Shapes
/// `scores` \[n, stride\], of which `tokens` a row count -> `out` rows of `tokens`, the rest of the last tile zero.
pub(crate) fn softmax_rows(
    instructions: Instructions,
    (scores, stride, tokens): (&[f32], usize, usize),
    out: &mut TileRows,
    sums: &mut [f32],
) {
    if out.slices() == 1 {
        dispatch!(instructions, rough_softmax_rows(scores, stride, tokens, out, sums));
    } else {
        dispatch!(instructions, fine_softmax_rows(scores, stride, tokens, out, sums));
    }
}

#[inline(always)]
fn rough_softmax_rows<const FUSED: bool>(
    scores: &[f32],
    stride: usize,
    tokens: usize,
    out: &mut TileRows,
    sums: &mut [f32],
) {
    softmax_tile_rows::<FUSED, 5, 1>(scores, stride, tokens, out, sums);
}

#[inline(always)]
fn fine_softmax_rows<const FUSED: bool>(
    scores: &[f32],
    stride: usize,
    tokens: usize,
    out: &mut TileRows,
    sums: &mut [f32],
) {
    softmax_tile_rows::<FUSED, 8, { tiles::SLICES }>(scores, stride, tokens, out, sums);
}

#[inline(always)]
fn softmax_tile_rows<const FUSED: bool, const TERMS: usize, const SLICES: usize>(
    scores: &[f32],
    stride: usize,
    tokens: usize,
    out: &mut TileRows,
    sums: &mut [f32],
) {
    const WIDTH: usize = tiles::DEPTH;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    for (row, (scores, sum)) in scores.chunks(stride).zip(sums).enumerate() {
        let (chunks, rest) = scores[..tokens].as_chunks::<WIDTH>();
        // What fills the row up is far below every score: its numerators are zero in bf16 and add nothing to a sum of at least one.
        let mut last = [f32::MIN; WIDTH];
        last[..rest.len()].copy_from_slice(rest);
        let mut largest = last;
        for chunk in chunks {
            largest.iter_mut().zip(chunk).for_each(|(m, &s)| *m = larger(*m, s));
        }
        let largest = fold(largest, larger);
        let mut lanes = [0.0_f32; WIDTH];
        for (step, chunk) in chunks.iter().enumerate() {
            let values = exponentials::<FUSED, TERMS>(chunk, largest, &mut lanes);
            out.cut::<SLICES>(row, step, values);
        }
        if !rest.is_empty() {
            let mut values = exponentials::<FUSED, TERMS>(&last, largest, &mut lanes);
            values[rest.len()..].fill(0.0);
            out.cut::<SLICES>(row, chunks.len(), values);
        }
        *sum = fold(lanes, |a, b| a + b);
    }
}

#[inline(always)]
fn exponentials<const FUSED: bool, const TERMS: usize>(
    scores: &[f32; tiles::DEPTH],
    largest: f32,
    lanes: &mut [f32; tiles::DEPTH],
) -> [f32; tiles::DEPTH] {
    let mut values = [0.0; tiles::DEPTH];
    for ((&s, lane), value) in scores.iter().zip(lanes).zip(&mut values) {
        *value = power_of_two::<FUSED, TERMS>(s - largest);
        *lane += *value;
    }
    values
}

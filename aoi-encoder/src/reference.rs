//! The encoder as its formulas read, in f64 and plain loops: slow, and the judge of the fast path.

use ndarray::{Array3, ArrayRef4};

use crate::config::Feedforward;
use crate::{Config, Params, PositionTable, Result, images_grid};

/// The exact GELU, `x (1 + erf(x / sqrt 2)) / 2`.
fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// The error function: its Maclaurin series up to 3, the continued fraction of its complement beyond; both to about 1e-15.
pub(crate) fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let mut term = a;
        let mut sum = a;
        for n in 1..120 {
            let n = f64::from(n);
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        return (sum * std::f64::consts::FRAC_2_SQRT_PI).copysign(x);
    }
    if a > 6.0 {
        return 1.0_f64.copysign(x);
    }
    let mut tail = a;
    for n in (1..=80).rev() {
        tail = a + f64::from(n) / 2.0 / tail;
    }
    let complement = (-a * a).exp() / (tail * std::f64::consts::PI.sqrt());
    (1.0 - complement).copysign(x)
}

/// `W x + b` for every row; no bias when `b` is empty.
///
/// # Shapes
/// `x` \[n, in\], `w` \[out, in\], `b` \[out\] or empty -> \[n, out\].
fn linear(x: &[f64], w: &[f64], b: &[f64], inputs: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len() / inputs * (w.len() / inputs));
    for row in x.chunks_exact(inputs) {
        for (o, weights) in w.chunks_exact(inputs).enumerate() {
            let product: f64 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
            out.push(product + b.get(o).copied().unwrap_or(0.0));
        }
    }
    out
}

/// `(x - mean) / sqrt(variance + epsilon) * w + b` for every row of `w.len()` entries.
fn layer_norm(x: &[f64], w: &[f64], b: &[f64], epsilon: f64) -> Vec<f64> {
    let d = w.len();
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(d) {
        let mean = row.iter().sum::<f64>() / d as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        let scale = 1.0 / (variance + epsilon).sqrt();
        out.extend(row.iter().zip(w.iter().zip(b)).map(|(x, (w, b))| (x - mean) * scale * w + b));
    }
    out
}

/// `softmax(q k^T / sqrt(d / h)) v` for every head of one image.
///
/// # Shapes
/// `qkv` \[t, 3 d\] -> \[t, d\].
fn attention(qkv: &[f64], d: usize, heads: usize) -> Vec<f64> {
    let (t, width) = (qkv.len() / (3 * d), d / heads);
    let mut out = vec![0.0; t * d];
    let part = |row: usize, which: usize, head: usize| {
        let start = row * 3 * d + which * d + head * width;
        &qkv[start..start + width]
    };
    for head in 0..heads {
        for i in 0..t {
            let dot = |j| part(i, 0, head).iter().zip(part(j, 1, head)).map(|(q, k)| q * k).sum::<f64>();
            let scores: Vec<f64> = (0..t).map(|j| dot(j) / (width as f64).sqrt()).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let target = &mut out[i * d + head * width..i * d + (head + 1) * width];
            for (j, weight) in weights.iter().enumerate() {
                for (o, v) in target.iter_mut().zip(part(j, 2, head)) {
                    *o += weight / sum * v;
                }
            }
        }
    }
    out
}

/// The first tokens of one image: prefix tokens and projected patches, positions added.
fn embed(config: &Config, params: &Params<f64>, positions: &PositionTable, image: &[f64]) -> Vec<f64> {
    let (d, p, columns) = (config.width, config.patch, positions.grid.columns);
    let pixels = image.len() / config.channels;
    let mut x = params.get("class_token").to_vec();
    x.extend_from_slice(params.get("register_tokens"));
    for (token, position) in x.iter_mut().zip(&positions.prefix) {
        *token += position;
    }
    for (index, position) in positions.patches.chunks_exact(d).enumerate() {
        let (row, column) = (index / columns, index % columns);
        let mut patch = Vec::with_capacity(config.channels * p * p);
        for plane in image.chunks_exact(pixels) {
            for y in row * p..(row + 1) * p {
                let start = y * columns * p + column * p;
                patch.extend_from_slice(&plane[start..start + p]);
            }
        }
        let token = linear(&patch, params.get("patch.weight"), params.get("patch.bias"), patch.len());
        x.extend(token.iter().zip(position).map(|(t, p)| t + p));
    }
    x
}

/// All tokens after every block, each through the final norm; the last entry is the encoder's output.
///
/// # Shapes
/// `images` \[b, c, height, width\] -> depth arrays \[b, 1 + r + t, d\]: class token, registers, patches in reading order.
///
/// # Errors
/// [`crate::Error`] when the images do not have the channels or whole patches of the configuration, or the parameters are those of
/// another one.
///
/// # Panics
/// Never: the sizes were checked.
pub fn forward(config: &Config, params: &Params<f64>, images: &ArrayRef4<f64>) -> Result<Vec<Array3<f64>>> {
    let grid = images_grid(config, images.shape())?;
    params.check_table(config)?;
    let positions = PositionTable::new(config, params, grid)?;
    let (b, d, t) = (images.shape()[0], config.width, config.prefix() + grid.len());
    let mut blocks = vec![Vec::with_capacity(b * t * d); config.depth];
    for image in images.outer_iter() {
        let image: Vec<f64> = image.iter().copied().collect();
        let mut x = embed(config, params, &positions, &image);
        for (index, states) in blocks.iter_mut().enumerate() {
            block(config, params, index, &mut x);
            states.extend(layer_norm(
                &x,
                params.get("norm.weight"),
                params.get("norm.bias"),
                config.norm_epsilon,
            ));
        }
    }
    let shaped = |states| Array3::from_shape_vec((b, t, d), states).expect("every image gave t rows of d");
    Ok(blocks.into_iter().map(shaped).collect())
}

/// One block, in place on the tokens of one image.
fn block(config: &Config, params: &Params<f64>, index: usize, x: &mut [f64]) {
    let (d, epsilon) = (config.width, config.norm_epsilon);
    let of = |name: &str| params.get(&format!("block.{index}.{name}"));
    let normed = layer_norm(x, of("norm1.weight"), of("norm1.bias"), epsilon);
    let qkv = linear(&normed, of("attention.qkv.weight"), of("attention.qkv.bias"), d);
    let mixed = attention(&qkv, d, config.heads);
    let branch = linear(&mixed, of("attention.out.weight"), of("attention.out.bias"), d);
    add_branch(x, &branch, of("scale1"));
    let normed = layer_norm(x, of("norm2.weight"), of("norm2.bias"), epsilon);
    let inner = linear(&normed, of("mlp.in.weight"), of("mlp.in.bias"), d);
    let inner: Vec<f64> = match config.feedforward {
        Feedforward::Gelu => inner.into_iter().map(gelu).collect(),
        Feedforward::SwiGlu => inner
            .chunks_exact(2 * config.hidden)
            .flat_map(|row| {
                let (u, v) = row.split_at(config.hidden);
                u.iter().zip(v).map(|(u, v)| u / (1.0 + (-u).exp()) * v).collect::<Vec<_>>()
            })
            .collect(),
    };
    let branch = linear(&inner, of("mlp.out.weight"), of("mlp.out.bias"), config.hidden);
    add_branch(x, &branch, of("scale2"));
}

/// `x += scale * branch`, the scale repeated for every row; one where there is none.
fn add_branch(x: &mut [f64], branch: &[f64], scale: &[f64]) {
    for (i, (x, b)) in x.iter_mut().zip(branch).enumerate() {
        *x += if scale.is_empty() { *b } else { b * scale[i % scale.len()] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{assert_all_close, assert_close};

    #[test]
    fn erf_agrees_with_published_digits() {
        // Abramowitz and Stegun, table 7.1, and Wolfram's digits beyond it.
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (2.999_999, 0.999_977_909_363_674),
            (3.0, 0.999_977_909_503_001_4),
            (4.0, 0.999_999_984_582_742_1),
            (7.0, 1.0),
        ] {
            assert_close(erf(x), y, 2e-13, 0.0);
            assert_close(erf(-x), -y, 2e-13, 0.0);
        }
    }

    #[test]
    fn attention_to_equal_keys_is_the_mean_of_the_values() {
        let (t, d, heads) = (5, 4, 2);
        let qkv: Vec<f64> = (0..t * 3 * d)
            .map(|i| if i % (3 * d) < 2 * d { 0.25 } else { f64::from(u32::try_from(i / (3 * d)).unwrap()) })
            .collect();
        assert_all_close(&attention(&qkv, d, heads), &vec![2.0; t * d], 1e-12, 0.0);
    }

    #[test]
    fn layer_norm_has_no_mean_and_unit_variance() {
        let x: Vec<f64> = (0..12).map(|i| f64::from(i * i)).collect();
        let normed = layer_norm(&x, &[1.0; 6], &[0.0; 6], 1e-12);
        for row in normed.chunks_exact(6) {
            assert_close(row.iter().sum(), 0.0, 1e-12, 0.0);
            assert_close(row.iter().map(|x| x * x).sum::<f64>() / 6.0, 1.0, 1e-9, 0.0);
        }
    }
}

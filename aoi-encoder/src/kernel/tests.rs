//! Every instruction set against plain definitions: bit for bit on small integers, within a stated error elsewhere.

use super::*;
use crate::reference;
use aoi_testing::{Seeded, assert_all_close, lattice_f32, skipped};

fn available() -> impl Iterator<Item = Instructions> {
    Instructions::ALL.into_iter().filter(|i| i.is_available())
}

/// Other tests pass over what is not there without a word; `AOI_REQUIRED` fails here where it must be there.
#[test]
fn instructions_that_are_left_out_are_named() {
    for instructions in Instructions::ALL {
        if !instructions.is_available() {
            skipped(&format!("{instructions:?}"), "this processor has no such instructions");
        }
    }
    assert_eq!(available().next(), Some(Instructions::Portable));
    assert_eq!(available().last(), Some(Instructions::best()));
}

/// One product on integers: exact in any order, so every entry must be equal; entries around the target must not change.
#[expect(clippy::many_single_char_names, reason = "a, b, c, m, k, i, j: the product's own letters")]
fn check_product(instructions: Instructions, size: (usize, usize), columns: usize, flip: bool, add: bool) {
    let (m, k) = size;
    let (stride_c, canary) = (columns + 3, 77.0);
    let layout = if flip { Layout { row: 1, inner: m + 2 } } else { Layout { row: k + 5, inner: 1 } };
    let a = lattice_f32((m - 1) * layout.row + (k - 1) * layout.inner + 1, 1);
    let (b, bias) = (lattice_f32(k * columns, 2), lattice_f32(columns, 3));
    let mut c = vec![canary; (m - 1) * stride_c + columns];
    let tile =
        Tile { size: (m, k), a: &a, layout, b: &b, columns, bias: if flip { &[] } else { &bias }, add };
    multiply_panel(instructions, &tile, &mut c, stride_c);
    for (at, &got) in c.iter().enumerate() {
        let (i, j) = (at / stride_c, at % stride_c);
        let expected = if j < columns {
            let sum: f32 = (0..k).map(|l| a[i * layout.row + l * layout.inner] * b[l * columns + j]).sum();
            sum + if flip { 0.0 } else { bias[j] } + if add { canary } else { 0.0 }
        } else {
            canary
        };
        assert_eq!(got, expected, "{instructions:?} {m} x {k} x {columns} at ({i}, {j})");
    }
}

#[test]
fn products_of_small_integers_are_exact_at_every_height() {
    let mut checked = 0;
    for instructions in available() {
        for m in (1..=30).chain([41, 42, 43]) {
            for (k, columns) in [(1, 16), (7, 32), (33, 16), (64, 32)] {
                check_product(instructions, (m, k), columns, m % 2 == 0, m % 3 == 0);
                check_product(instructions, (m, k), columns, m % 2 == 1, m % 3 == 1);
                checked += 1;
            }
        }
    }
    assert!(checked >= 33 * 4);
}

#[test]
#[should_panic(expected = "panel too short")]
fn a_panel_that_is_too_short_is_caught_before_the_vectors() {
    let layout = Layout { row: 4, inner: 1 };
    let tile = Tile { size: (2, 4), a: &[0.0; 8], layout, b: &[0.0; 63], columns: 16, bias: &[], add: false };
    multiply_panel(Instructions::best(), &tile, &mut [0.0; 32], 16);
}

#[test]
#[should_panic(expected = "target too short")]
fn a_target_that_is_too_short_is_caught_before_the_vectors() {
    let layout = Layout { row: 4, inner: 1 };
    let tile = Tile { size: (2, 4), a: &[0.0; 8], layout, b: &[0.0; 64], columns: 16, bias: &[], add: false };
    multiply_panel(Instructions::best(), &tile, &mut [0.0; 31], 16);
}

#[test]
fn a_packed_layer_is_its_definition_at_every_width() {
    for instructions in available() {
        for outputs in [1, 31, 32, 33, 64, 100] {
            let (n, inputs) = (5, 9);
            let (w, x) = (lattice_f32(outputs * inputs, 4), lattice_f32(n * inputs, 5));
            let (b, scale) = (lattice_f32(outputs, 6), lattice_f32(outputs, 7));
            let packed = Packed::new(&w, &b, inputs, &scale);
            let mut out = vec![1.0; n * stride(outputs)];
            packed.apply(instructions, n, (&x, inputs), (&mut out, stride(outputs)), Epilogue::Add);
            for i in 0..n {
                for o in 0..outputs {
                    let dot: f32 = (0..inputs).map(|l| x[i * inputs + l] * w[o * inputs + l]).sum();
                    assert_eq!(
                        out[i * stride(outputs) + o],
                        1.0 + scale[o] * (dot + b[o]),
                        "{instructions:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn gelu_is_exact_to_a_few_units_of_f32() {
    for instructions in available() {
        // Fifty rows of 32 numbers, sixteen apart.
        let x: Vec<f32> = (-1200_i16..1200).map(|i| f32::from(i) / 100.0).collect();
        let mut y = x.clone();
        rows::gelu(instructions, 50, (&mut y, 48));
        for (at, (&x, &y)) in x.iter().zip(&y).enumerate() {
            if at % 48 >= 32 {
                assert_eq!(x, y, "between the rows");
                continue;
            }
            let exact = 0.5 * f64::from(x) * (1.0 + reference::erf(f64::from(x) / 2.0_f64.sqrt()));
            // 2.2e-8 from the fit, the rest from rounding two polynomials, a quotient and a product.
            let error = (f64::from(y) - exact).abs() / f64::from(x.abs().max(1.0));
            assert!(error < 3e-7, "{instructions:?} {x}: {error:e}");
        }
    }
}

#[test]
fn the_short_gelu_is_closer_than_bf16_can_tell() {
    for instructions in available() {
        let x: Vec<f32> = (-1200_i16..=1200).map(|i| f32::from(i) / 100.0).collect();
        for x in x.chunks_exact(32) {
            let mut y = vec![0.0; 32];
            add_block(instructions, (x, &[0.0; 32]), Epilogue::RoughGelu, (&mut y, 32));
            for (&x, &y) in x.iter().zip(&y) {
                let exact = 0.5 * f64::from(x) * (1.0 + reference::erf(f64::from(x) / 2.0_f64.sqrt()));
                // 4.2e-5 from the fit; bf16 is off by 2e-3 of a number.
                let error = (f64::from(y) - exact).abs() / f64::from(x.abs().max(1.0));
                assert!(error < 5e-5, "{instructions:?} {x}: {error:e}");
            }
        }
    }
}

#[test]
fn a_block_is_stored_or_added_row_by_row() {
    let (sums, bias) = (lattice_f32(3 * 32, 11), lattice_f32(32, 12));
    let bias: [f32; 32] = bias.try_into().unwrap();
    for instructions in available() {
        for (epilogue, old) in [(Epilogue::Store, 0.0), (Epilogue::Add, 5.0)] {
            let mut out = vec![5.0; 2 * 40 + 32];
            add_block(instructions, (&sums, &bias), epilogue, (&mut out, 40));
            for (at, &v) in out.iter().enumerate() {
                let (i, j) = (at / 40, at % 40);
                let expected = if j < 32 { old + sums[i * 32 + j] + bias[j] } else { 5.0 };
                assert_eq!(v, expected, "{instructions:?} ({i}, {j})");
            }
        }
    }
}

#[test]
fn softmax_of_rows_agrees_with_f64() {
    // One slice: the power is within 4e-5 of itself, and bf16, with eight significant bits, within half of 2^-7. Three: it is within 2e-7, after a
    // difference rounded at |s| up to 128.
    for (slices, each, whole) in [(1, 2.0_f64.powi(-8) + 5e-5, 1e-4), (SLICES, 1e-5, 1e-6)] {
        for instructions in available() {
            for tokens in [1, 31, 32, 33, 70] {
                let scores: Vec<f32> = Seeded::new(8).normals_f32(3 * 80).iter().map(|s| s * 20.0).collect();
                let (mut rows, mut sums) = (TileRows::default(), [0.0; 3]);
                rows.resize(3, tokens, slices);
                softmax_rows(instructions, (&scores, 80, tokens), &mut rows, &mut sums);
                for i in 0..3 {
                    let row: Vec<f64> =
                        scores[i * 80..i * 80 + tokens].iter().map(|&s| f64::from(s)).collect();
                    let largest = row.iter().copied().fold(f64::MIN, f64::max);
                    let exact: Vec<f64> = row.iter().map(|s| (s - largest).exp2()).collect();
                    let number = |h: u16| f64::from(f32::from_bits(u32::from(h) << 16));
                    let got: Vec<f64> = (0..tokens.next_multiple_of(32))
                        .map(|k| (0..slices).map(|s| number(rows.entries(i, k / 32, s)[k % 32])).sum())
                        .collect();
                    assert_all_close(&got[..tokens], &exact, 1e-30, each);
                    assert!(got[tokens..].iter().all(|v| *v == 0.0), "what fills the row up is zero");
                    assert_all_close(&[f64::from(sums[i])], &[exact.iter().sum::<f64>()], 0.0, whole);
                }
            }
        }
    }
}

#[test]
fn gelu_and_softmax_pass_nan_on() {
    for instructions in available() {
        let mut x = [f32::NAN; 32];
        rows::gelu(instructions, 1, (&mut x, 32));
        assert!(x.iter().all(|v| v.is_nan()));
        let (mut panel, mut sums) = ([f32::NAN; 32], [0.0; 16]);
        softmax_columns(instructions, &mut panel, &mut sums);
        assert!(panel.iter().chain(&sums).all(|v| v.is_nan()));
    }
}

#[test]
fn softmax_of_columns_agrees_with_f64() {
    for instructions in available() {
        for columns in [16, 32] {
            let n = 45;
            let scores: Vec<f32> = Seeded::new(8).normals_f32(n * columns).iter().map(|s| s * 20.0).collect();
            let (mut panel, mut sums) = (scores.clone(), vec![0.0; columns]);
            softmax_columns(instructions, &mut panel, &mut sums);
            for j in 0..columns {
                let column = |v: &[f32]| (0..n).map(|i| f64::from(v[i * columns + j])).collect::<Vec<_>>();
                let largest = column(&scores).into_iter().fold(f64::MIN, f64::max);
                let exact: Vec<f64> = column(&scores).iter().map(|s| (s - largest).exp()).collect();
                // exp is within 2e-7 of itself, after a difference rounded at |s| up to 128.
                assert_all_close(&column(&panel), &exact, 1e-30, 1e-5);
                assert_all_close(&[f64::from(sums[j])], &[exact.iter().sum::<f64>()], 0.0, 1e-6);
            }
        }
    }
}

#[test]
fn layer_norm_survives_a_large_mean() {
    let x: Vec<f32> = Seeded::new(9).normals_f32(77).iter().map(|v| v + 100.0).collect();
    let exact: Vec<f64> = {
        let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let mean = x.iter().sum::<f64>() / 77.0;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 77.0;
        x.iter().map(|v| (v - mean) / (variance + 1e-6).sqrt()).collect()
    };
    for instructions in available() {
        let mut out = vec![0.0; 77];
        layer_norm(instructions, &x, (&[1.0; 77], &[0.0; 77], 1e-6), &mut out);
        // The mean of numbers near 100 is off by up to 1e-5, and with it every entry.
        assert_all_close(&out, &exact, 2e-5, 0.0);
    }
}

#[test]
fn both_vector_widths_give_the_same_bits() {
    if !Instructions::Avx512.is_available() {
        return;
    }
    let run = |instructions| {
        let mut seeded = Seeded::new(10);
        let (w, b, x) = (seeded.normals_f32(70 * 50), seeded.normals_f32(70), seeded.normals_f32(19 * 50));
        let mut out = vec![0.0; 19 * stride(70)];
        let packed = Packed::new(&w, &b, 50, &[]);
        packed.apply(instructions, 19, (&x, 50), (&mut out, stride(70)), Epilogue::Gelu);
        let mut sums = [0.0; 32];
        let panels = out.len() / 32 * 32;
        softmax_columns(instructions, &mut out[..panels], &mut sums);
        out.iter().chain(&sums).map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(run(Instructions::Avx2), run(Instructions::Avx512));
}

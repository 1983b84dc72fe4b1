//! Tile products on every path against plain sums: bit for bit on small integers, within a stated error elsewhere.

#![expect(clippy::many_single_char_names, reason = "m, n and k are the sizes of a product of a and b")]

use super::*;
use aoi_testing::{Seeded, assert_all_close, lattice_f32};

fn available() -> impl Iterator<Item = Instructions> {
    Instructions::ALL.into_iter().filter(|i| i.is_available())
}

/// `a` \[m, k\] times the transpose of `b` \[n, k\], by blocks.
fn product(instructions: Instructions, (m, n, k): (usize, usize, usize), a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut rows = TileRows::default();
    rows.resize(m, k);
    rows.fill(instructions, m, (a, k), k, 1.0);
    let columns = TileColumns::of_weight(b, k, &[]);
    let width = columns.columns();
    let mut c = vec![7.0; m.next_multiple_of(BLOCK) * width];
    let session = Session::new(instructions);
    for top in (0..m).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let rows = (&rows, top / SIDE, m - top > SIDE);
            session.multiply(rows, (&columns, left / SIDE, top / BLOCK), &mut c[top * width + left..], width);
        }
    }
    c.chunks(width).take(m).flat_map(|row| row[..n].to_vec()).collect()
}

#[test]
fn products_of_small_integers_are_exact_at_every_size() {
    let mut checked = 0;
    for instructions in available() {
        for (m, n) in
            [(1, 1), (15, 16), (16, 17), (17, 31), (32, 32), (33, 33), (48, 64), (50, 70), (200, 40)]
        {
            for k in [1, 2, 31, 32, 33, 64, 100] {
                let (a, b) = (lattice_f32(m * k, 1), lattice_f32(n * k, 2));
                let exact: Vec<f32> = (0..m * n)
                    .map(|at| (0..k).map(|l| a[at / n * k + l] * b[at % n * k + l]).sum())
                    .collect();
                let got = product(instructions, (m, n, k), &a, &b);
                assert_eq!(got, exact, "{instructions:?} {m} x {n} x {k}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 9 * 7);
}

#[test]
fn every_path_gives_the_sum_of_rounded_products() {
    let (m, n, k) = (32, 32, 70);
    let mut seeded = Seeded::new(3);
    let (a, b) = (seeded.normals_f32(m * k), seeded.normals_f32(n * k));
    let rounded = |v: &[f32], at: usize| f64::from(widen(round(v[at])));
    let exact: Vec<f64> = (0..m * n)
        .map(|i| (0..k).map(|l| rounded(&a, i / n * k + l) * rounded(&b, i % n * k + l)).sum())
        .collect();
    for instructions in available() {
        // 70 sums, each rounded at 2^-24 of something below 32.
        assert_all_close(&product(instructions, (m, n, k), &a, &b), &exact, 70.0 * 32.0 * 6e-8, 0.0);
    }
}

#[test]
fn rows_are_rounded_alike_on_every_path() {
    for inner in [1, 15, 16, 17, 31, 32, 33, 75] {
        let x: Vec<f32> = Seeded::new(5).normals_f32(3 * inner).iter().map(|v| v * 1e3).collect();
        let filled = |instructions| {
            let mut rows = TileRows::default();
            rows.resize(3, inner);
            // A longer row before, so that what fills the last tile up must be written.
            rows.tiles.fill(7);
            rows.fill(instructions, 3, (&x, inner), inner, 0.3);
            let steps = rows.steps();
            (0..3 * steps).map(|at| *rows.entries(at / steps, at % steps)).collect::<Vec<_>>()
        };
        let plain = filled(Instructions::Portable);
        assert!(plain.iter().flatten().any(|&v| v != 0));
        assert_eq!(plain.iter().flatten().filter(|v| **v == 7).count(), 0, "{inner}");
        for instructions in available() {
            assert!(filled(instructions) == plain, "{instructions:?} {inner}");
        }
    }
}

#[test]
fn keys_become_columns_and_values_become_pairs() {
    let (n, width) = (45, 40);
    let x = lattice_f32(n * width, 6);
    for instructions in available() {
        let mut rows = TileRows::default();
        rows.resize(n, width);
        rows.fill(instructions, n, (&x, width), width, 1.0);
        let (mut keys, mut values) = (TileColumns::default(), TileColumns::default());
        keys.resize(n, width);
        keys.transpose(instructions, &rows);
        let expected = TileColumns::of_weight(&x, width, &[]);
        assert!(keys.tiles() == expected.tiles(), "{instructions:?}");
        values.resize(width, n);
        values.interleave(instructions, (&x, width), (n, width));
        let turned: Vec<f32> = (0..width * n).map(|at| x[at % n * width + at / n]).collect();
        let expected = TileColumns::of_weight(&turned, n, &[]);
        assert!(values.tiles() == expected.tiles(), "{instructions:?}");
    }
}

#[test]
fn rounding_is_to_the_nearest_even_and_keeps_what_is_not_finite() {
    for (x, expected) in [
        (1.0, 1.0),
        (1.0 + 1.0 / 256.0, 1.0),
        (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
        (1.003_907_f32, 1.007_812_5),
        (-2.0, -2.0),
        (f32::INFINITY, f32::INFINITY),
        (-0.0, -0.0),
    ] {
        assert_eq!(widen(round(x)).to_bits(), expected.to_bits(), "{x}");
    }
    for bits in [0x7f80_0001, 0x7fff_ffff, 0xffff_ffff_u32] {
        assert!(widen(round(f32::from_bits(bits))).is_nan(), "{bits:x}");
    }
}

#[test]
fn not_a_number_reaches_the_product() {
    for instructions in available() {
        let mut a = vec![1.0; 16 * 40];
        a[3 * 40 + 2] = f32::NAN;
        let c = product(instructions, (16, 16, 40), &a, &vec![1.0; 16 * 40]);
        for (i, row) in c.chunks(16).enumerate() {
            assert!(row.iter().all(|v| v.is_nan() == (i == 3)), "{instructions:?} row {i}");
        }
    }
}

#[test]
#[should_panic(expected = "sides of a product differ")]
fn sides_of_other_lengths_are_caught_before_the_tiles() {
    let mut rows = TileRows::default();
    rows.resize(16, 64);
    let columns = TileColumns::of_weight(&[1.0; 32], 32, &[]);
    Session::new(Instructions::best()).multiply((&rows, 0, false), (&columns, 0, 0), &mut [0.0; 2000], 32);
}

#[test]
#[should_panic(expected = "target too short")]
fn a_target_that_is_too_short_is_caught_before_the_tiles() {
    let mut rows = TileRows::default();
    rows.resize(32, 32);
    let columns = TileColumns::of_weight(&[1.0; 32], 32, &[]);
    Session::new(Instructions::best()).multiply((&rows, 0, true), (&columns, 0, 0), &mut [0.0; 1023], 32);
}

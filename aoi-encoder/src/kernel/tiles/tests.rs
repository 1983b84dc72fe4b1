//! Tile products on every path against plain sums: bit for bit on small integers, within a stated error elsewhere.

use super::*;
use aoi_testing::{Seeded, assert_all_close, lattice_f32};

fn available() -> Vec<Instructions> {
    let paths = [Instructions::Avx512, Instructions::Amx];
    paths.into_iter().filter(|i| *i != Instructions::Amx || i.is_available()).collect()
}

/// `a` \[m, k\] times the transpose of `b` \[n, k\], by blocks.
fn product(
    instructions: Instructions,
    (m, n, k): (usize, usize, usize),
    a: &[f32],
    b: &[f32],
    planes: usize,
) -> Vec<f32> {
    let mut rows = TileRows::default();
    rows.resize(m, k, planes);
    rows.fill(instructions, m, (a, k), k, 1.0);
    let columns = TileColumns::of_weight(b, k, &[], planes);
    let mut c = vec![7.0; m.next_multiple_of(BLOCK) * columns.columns()];
    let session = Session::new(instructions);
    for top in (0..m).step_by(BLOCK) {
        for left in (0..columns.columns()).step_by(BLOCK) {
            let target = &mut c[top * columns.columns() + left..];
            let rows = (&rows, top / SIDE, m - top > SIDE);
            session.multiply(rows, (&columns, left / SIDE), target, columns.columns());
        }
    }
    c.chunks(columns.columns()).take(m).flat_map(|row| row[..n].to_vec()).collect()
}

#[test]
fn products_of_small_integers_are_exact_at_every_size() {
    let mut checked = 0;
    for instructions in available() {
        for (m, n) in [(1, 1), (15, 16), (16, 17), (17, 31), (32, 32), (33, 33), (48, 64), (50, 70)] {
            for k in [1, 2, 31, 32, 33, 64, 100] {
                for planes in [1, 3] {
                    let (a, b) = (lattice_f32(m * k, 1), lattice_f32(n * k, 2));
                    let exact: Vec<f32> = (0..m * n)
                        .map(|at| (0..k).map(|l| a[at / n * k + l] * b[at % n * k + l]).sum())
                        .collect();
                    let got = product(instructions, (m, n, k), &a, &b, planes);
                    assert_eq!(got, exact, "{instructions:?} {m} x {n} x {k}, {planes} planes");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 8 * 7 * 2);
}

#[test]
fn the_plain_path_gives_what_the_vectors_give() {
    let (m, n, k) = (32, 32, 70);
    let mut seeded = Seeded::new(3);
    let (a, b) = (seeded.normals_f32(m * k), seeded.normals_f32(n * k));
    for planes in [1, 3] {
        let mut rows = TileRows::default();
        rows.resize(m, k, planes);
        rows.fill(Instructions::Portable, m, (&a, k), k, 1.0);
        let columns = TileColumns::of_weight(&b, k, &[], planes);
        let half = columns.tiles().len() / 2;
        let block = Block {
            a: rows.tiles(),
            b: [&columns.tiles()[..half], &columns.tiles()[half..]],
            steps: rows.steps(),
            planes,
        };
        let mut expected = vec![0.0; m * n];
        dot::plain(&block, &mut expected, n);
        for instructions in available() {
            // 210 or 70 sums of products of numbers near one, each rounded at 2^-24 of a sum below 32.
            let got = product(instructions, (m, n, k), &a, &b, planes);
            assert_all_close(&got, &expected, 210.0 * 32.0 * 6e-8, 0.0);
        }
    }
}

#[test]
fn split_products_are_as_close_to_f64_as_products_of_f32() {
    let (m, n, k) = (32, 32, 768);
    let mut seeded = Seeded::new(4);
    let (a, b) = (seeded.normals_f32(m * k), seeded.normals_f32(n * k));
    let at = |i: usize| (i / n * k, i % n * k);
    let exact: Vec<f64> = (0..m * n)
        .map(|i| (0..k).map(|l| f64::from(a[at(i).0 + l]) * f64::from(b[at(i).1 + l])).sum())
        .collect();
    let off = |c: &[f32]| {
        let squares: f64 = c.iter().zip(&exact).map(|(c, e)| (f64::from(*c) - e).powi(2)).sum();
        (squares / (m * n) as f64).sqrt()
    };
    let plain: Vec<f32> = (0..m * n)
        .map(|i| (0..k).fold(0.0, |sum: f32, l| a[at(i).0 + l].mul_add(b[at(i).1 + l], sum)))
        .collect();
    for instructions in available() {
        let split = off(&product(instructions, (m, n, k), &a, &b, 3));
        // Six products of planes make up to six times the roundings of one sum; as they are independent, the error grows by the root of that.
        assert!(split <= 2.5 * off(&plain), "{instructions:?}: {split:e}, products of f32 {:e}", off(&plain));
        let rounded = off(&product(instructions, (m, n, k), &a, &b, 1));
        assert!(rounded > 100.0 * split, "one plane must be worse, or nothing is measured: {rounded:e}");
    }
}

#[test]
fn rows_are_split_alike_on_every_path() {
    let x: Vec<f32> = Seeded::new(5).normals_f32(3 * 75).iter().map(|v| v * 1e3).collect();
    for planes in [1, 3] {
        let [plain, vectors] =
            [Instructions::Portable, available()[available().len() - 1]].map(|instructions| {
                let mut rows = TileRows::default();
                rows.resize(3, 75, planes);
                rows.fill(instructions, 3, (&x, 75), 75, 0.3);
                rows.tiles().to_vec()
            });
        assert!(plain == vectors, "{planes} planes");
        assert!(plain.iter().any(|&v| v != 0));
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
        for planes in [1, 3] {
            let c = product(instructions, (16, 16, 40), &a, &vec![1.0; 16 * 40], planes);
            for (i, row) in c.chunks(16).enumerate() {
                assert!(row.iter().all(|v| v.is_nan() == (i == 3)), "{instructions:?} row {i}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "sides of a product differ")]
fn sides_of_other_lengths_are_caught_before_the_tiles() {
    let mut rows = TileRows::default();
    rows.resize(16, 64, 1);
    let columns = TileColumns::of_weight(&[1.0; 32], 32, &[], 1);
    Session::new(Instructions::Portable).multiply((&rows, 0, false), (&columns, 0), &mut [0.0; 2000], 32);
}

#[test]
#[should_panic(expected = "target too short")]
fn a_target_that_is_too_short_is_caught_before_the_tiles() {
    let mut rows = TileRows::default();
    rows.resize(32, 32, 1);
    let columns = TileColumns::of_weight(&[1.0; 32], 32, &[], 1);
    Session::new(Instructions::Portable).multiply((&rows, 0, true), (&columns, 0), &mut [0.0; 1023], 32);
}

//! Tile products on every path against plain sums: bit for bit on small integers, within a stated error elsewhere.

#![expect(clippy::many_single_char_names, reason = "m, n and k are the sizes of a product of a and b")]

use super::*;
use aoi_testing::{Seeded, assert_all_close, lattice_f32};

fn available() -> impl Iterator<Item = Instructions> {
    Instructions::ALL.into_iter().filter(|i| i.is_available())
}

/// `a` \[m, k\] times the transpose of `b` \[n, k\], by blocks, in so many slices.
fn product(
    (instructions, slices): (Instructions, usize),
    (m, n, k): (usize, usize, usize),
    a: &[f32],
    b: &[f32],
) -> Vec<f32> {
    let mut rows = TileRows::default();
    rows.resize(m, k, slices);
    rows.fill(instructions, m, (a, k), k, 1.0);
    let columns = TileColumns::of_weight(b, k, &[], slices);
    let width = columns.columns();
    let mut c = vec![7.0; m.next_multiple_of(BLOCK) * width];
    let session = Session::new(instructions);
    for top in (0..m).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let rows = (&rows, top / SIDE, BLOCK.min(m - top));
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
            for (k, slices) in [1, 2, 31, 32, 33, 64, 100].into_iter().flat_map(|k| [(k, 1), (k, SLICES)]) {
                let (a, b) = (lattice_f32(m * k, 1), lattice_f32(n * k, 2));
                let exact: Vec<f32> = (0..m * n)
                    .map(|at| (0..k).map(|l| a[at / n * k + l] * b[at % n * k + l]).sum())
                    .collect();
                let got = product((instructions, slices), (m, n, k), &a, &b);
                assert_eq!(got, exact, "{instructions:?} {m} x {n} x {k} in {slices}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 9 * 14);
}

/// Numbers with bits in every slice: i + j 2^-9 + l 2^-18 for small i, j, l of one sign.
fn in_three_parts(n: usize, seed: u64) -> Vec<f32> {
    let part =
        |salt, unit: i32| lattice_f32(n, seed + salt).into_iter().map(move |v| v.abs() * 2.0_f32.powi(unit));
    part(0, 0).zip(part(1, -9)).zip(part(2, -18)).map(|((a, b), c)| a + b + c).collect()
}

#[test]
fn every_product_of_slices_that_is_taken_counts_once() {
    // One summed entry: the six products are exact. Of the five roundings of their sum only that of the last and largest product counts, half of 2^-23; at
    // most 2^-23 is left out.
    let (m, n) = (40, 33);
    let (a, b) = (in_three_parts(m, 1), in_three_parts(n, 11));
    assert!(a.iter().any(|v| (v * 512.0).fract() != 0.0), "the last slice holds something");
    for instructions in available() {
        let got = product((instructions, SLICES), (m, n, 1), &a, &b);
        for (at, got) in got.iter().enumerate() {
            let exact = f64::from(a[at / n]) * f64::from(b[at % n]);
            let off = (f64::from(*got) - exact).abs();
            assert!(off <= exact.abs() * 5.0 * 2.0_f64.powi(-24), "{instructions:?} {at}: {got} for {exact}");
        }
    }
}

#[test]
fn every_path_gives_the_sum_of_rounded_products() {
    let (m, n, k) = (32, 32, 70);
    let mut seeded = Seeded::new(3);
    let (a, b) = (seeded.normals_f32(m * k), seeded.normals_f32(n * k));
    let exact = |number: &dyn Fn(f32) -> f64| -> Vec<f64> {
        (0..m * n)
            .map(|i| (0..k).map(|l| number(a[i / n * k + l]) * number(b[i % n * k + l])).sum())
            .collect()
    };
    let (rounded, whole) = (exact(&|v| f64::from(widen(round(v)))), exact(&|v| f64::from(v)));
    for instructions in available() {
        // 70 sums, each rounded at 2^-24 of something below 32; in slices 6 x 70, most of them of small products.
        let bound = 70.0 * 32.0 * 6e-8;
        assert_all_close(&product((instructions, 1), (m, n, k), &a, &b), &rounded, bound, 0.0);
        assert_all_close(&product((instructions, SLICES), (m, n, k), &a, &b), &whole, bound / 10.0, 0.0);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn pairs_and_widened_halves_give_the_plain_sums() {
    let steps = 3;
    let mut seeded = Seeded::new(4);
    let mut halves = |n: usize| -> Vec<u16> { seeded.normals_f32(n).into_iter().map(round).collect() };
    let (a, b, c) = (halves(BLOCK * steps * DEPTH), halves(steps * TILE), halves(steps * TILE));
    for rows in 1..=BLOCK {
        let a = &a[..rows.next_multiple_of(SIDE) * steps * DEPTH];
        let block = Block { a, rows, b: [&b, &c], ahead: &[], steps, slices: 1 };
        let mut exact = vec![7.0; BLOCK * BLOCK];
        dot::plain(&block, &mut exact, BLOCK);
        let exact: Vec<f64> = exact.into_iter().map(f64::from).collect();
        assert!(exact[rows * BLOCK..].iter().all(|&v| v == 7.0), "no more than {rows} rows");
        for pairs in [false, true] {
            if Instructions::Avx512.is_available() && (!pairs || is_x86_feature_detected!("avx512bf16")) {
                let mut got = vec![7.0; BLOCK * BLOCK];
                dot::vectors::multiply(pairs, &block, &mut got, BLOCK);
                // 96 sums on each side, each rounded at 2^-24 of something below 32.
                assert_all_close(&got, &exact, 2.0 * 96.0 * 32.0 * 6e-8, 0.0);
            }
        }
    }
}

#[test]
fn rows_are_cut_alike_on_every_path_and_three_slices_are_the_number() {
    for (inner, slices) in [1, 15, 16, 17, 31, 32, 33, 75].into_iter().flat_map(|k| [(k, 1), (k, SLICES)]) {
        let x: Vec<f32> = Seeded::new(5).normals_f32(3 * inner).iter().map(|v| v * 1e3).collect();
        let filled = |instructions, scale| {
            let mut rows = TileRows::default();
            rows.resize(3, inner, slices);
            // A longer row before, so that what fills the last tile up must be written.
            rows.tiles.fill(7);
            rows.fill(instructions, 3, (&x, inner), inner, scale);
            let entries = |row, step| move |slice| (row, step, slice);
            let all = (0..3).flat_map(|row| (0..inner.div_ceil(DEPTH)).map(move |step| (row, step)));
            all.flat_map(|(row, step)| (0..slices).map(entries(row, step)))
                .map(|(row, step, slice)| *rows.entries(row, step, slice))
                .collect::<Vec<_>>()
        };
        let plain = filled(Instructions::Portable, 0.3);
        assert!(plain.iter().flatten().any(|&v| v != 0));
        assert_eq!(plain.iter().flatten().filter(|v| **v == 7).count(), 0, "{inner}");
        for instructions in available() {
            assert!(filled(instructions, 0.3) == plain, "{instructions:?} {inner}");
            let whole = filled(instructions, 1.0);
            for (at, &x) in x.iter().enumerate().filter(|_| slices == SLICES) {
                let (row, k) = (at / inner, at % inner);
                let first = (row * inner.div_ceil(DEPTH) + k / DEPTH) * slices;
                let parts: f32 = (0..slices).rev().map(|s| widen(whole[first + s][k % DEPTH])).sum();
                assert_eq!(parts, x, "{instructions:?}");
            }
        }
    }
}

#[test]
fn a_block_is_cut_like_its_rows() {
    for (rows, slices) in [1, 15, 16, 17, 32].into_iter().flat_map(|n| [(n, 1), (n, SLICES)]) {
        let x = Seeded::new(8).normals_f32(rows * DEPTH);
        for instructions in available() {
            let filled = |by_block: bool| {
                let mut out = TileRows::default();
                out.resize(48, 3 * DEPTH, slices);
                if by_block {
                    out.fill_block(instructions, (16, 1), &x);
                } else {
                    for (row, x) in x.chunks(DEPTH).enumerate() {
                        let wide = [&[0.0; DEPTH], x, &[0.0; DEPTH]].concat();
                        out.fill_row(instructions, 16 + row, &wide, 1.0);
                    }
                }
                out.tiles().to_vec()
            };
            let by_block = filled(true);
            assert!(by_block.iter().any(|v| *v != 0));
            assert!(by_block == filled(false), "{instructions:?} {rows}");
        }
    }
}

/// Rows of `x` \[n, width\] as halves, cut by the block; slices and rows lie further apart than they must.
fn halves(
    instructions: Instructions,
    x: &[f32],
    (n, width): (usize, usize),
    slices: usize,
) -> (Vec<u16>, usize, usize) {
    let (slice, row) = (width + 32, slices * (width + 32) + 64);
    let mut out = vec![7; n * row];
    let bias: [f32; BLOCK] = std::array::from_fn(|i| i as f32 / 8.0);
    for (top, left) in
        (0..n).step_by(BLOCK).flat_map(|top| (0..width).step_by(BLOCK).map(move |left| (top, left)))
    {
        let here = BLOCK.min(n - top);
        let sums: Vec<f32> = (0..here * BLOCK)
            .map(|i| x[(top + i / BLOCK) * width + left + i % BLOCK] - bias[i % BLOCK])
            .collect();
        cut_block(instructions, (&sums, &bias), slices, (&mut out[top * row + left..], row, slice));
    }
    (out, row, slice)
}

#[test]
fn halves_become_rows_columns_and_pairs() {
    let (n, width) = (45, 64);
    // What a bias can be taken from and added to again without rounding.
    let x: Vec<f32> =
        Seeded::new(6).normals_f32(n * width).iter().map(|v| (v * 1024.0).round() / 1024.0).collect();
    for (instructions, slices) in available().flat_map(|i| [(i, 1), (i, SLICES)]) {
        let (data, row, slice) = halves(instructions, &x, (n, width), slices);
        let between =
            data.chunks(row).flat_map(|row| row.chunks(slice).take(slices).map(|slice| &slice[width..]));
        assert!(between.flatten().all(|v| *v == 7), "only the columns of a block are written");
        let from = Halves { data: &data, row, slice };
        let (mut expected, mut rows) = (TileRows::default(), TileRows::default());
        for rows in [&mut expected, &mut rows] {
            rows.resize(n, width, slices);
        }
        expected.fill(instructions, n, (&x, width), width, 1.0);
        rows.copy(n, from);
        assert!(rows.tiles() == expected.tiles(), "{instructions:?} rows");
        let (mut keys, mut values) = (TileColumns::default(), TileColumns::default());
        keys.resize(n, width, slices);
        keys.transpose(instructions, n, from);
        let expected = TileColumns::of_weight(&x, width, &[], slices);
        for column in 0..n {
            let entries = |c: &TileColumns| -> Vec<u16> {
                let lines = c.tiles()[column / SIDE * 2 * slices * TILE..][..2 * slices * TILE].chunks(DEPTH);
                lines.flat_map(|line| line[column % SIDE * 2..][..2].to_vec()).collect()
            };
            assert!(entries(&keys) == entries(&expected), "{instructions:?} column {column}");
        }
        // Another image before, so that what fills the last tiles up must be written.
        values.resize(width, n, slices);
        values.tiles.fill(7);
        values.pair_up(instructions, n, from);
        let turned: Vec<f32> = (0..width * n).map(|at| x[at % n * width + at / n]).collect();
        let expected = TileColumns::of_weight(&turned, n, &[], slices);
        assert!(values.tiles() == expected.tiles(), "{instructions:?} pairs");
    }
}

#[test]
fn rows_are_scaled_on_the_way_into_tiles() {
    let (n, factors) = (21, [0.5, 3.0, -0.25].repeat(7));
    let x = Seeded::new(7).normals_f32(n * DEPTH);
    let scaled: Vec<f32> = x.iter().enumerate().map(|(i, x)| x * factors[i / DEPTH]).collect();
    for (instructions, slices) in available().flat_map(|i| [(i, 1), (i, SLICES)]) {
        let (mut out, mut expected) = (TileRows::default(), TileRows::default());
        for rows in [&mut out, &mut expected] {
            rows.resize(40, 3 * DEPTH, slices);
        }
        // From a row in the middle of a tile on, across its end.
        out.fill_scaled(instructions, (9, 1), &x, &factors);
        for (row, x) in (9..).zip(scaled.chunks(DEPTH)) {
            expected.fill_row(instructions, row, &[&[0.0; DEPTH], x, &[0.0; DEPTH]].concat(), 1.0);
        }
        assert!(out.tiles() == expected.tiles(), "{instructions:?}");
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
    for (instructions, slices) in available().flat_map(|i| [(i, 1), (i, SLICES)]) {
        let mut a = vec![1.0; 16 * 40];
        a[3 * 40 + 2] = f32::NAN;
        let c = product((instructions, slices), (16, 16, 40), &a, &vec![1.0; 16 * 40]);
        for (i, row) in c.chunks(16).enumerate() {
            assert!(row.iter().all(|v| v.is_nan() == (i == 3)), "{instructions:?} row {i}");
        }
    }
}

#[test]
#[should_panic(expected = "sides of a product differ")]
fn sides_of_other_lengths_are_caught_before_the_tiles() {
    let mut rows = TileRows::default();
    rows.resize(16, 64, 1);
    let columns = TileColumns::of_weight(&[1.0; 32], 32, &[], 1);
    Session::new(Instructions::best()).multiply((&rows, 0, 1), (&columns, 0, 0), &mut [0.0; 2000], 32);
}

#[test]
#[should_panic(expected = "target too short")]
fn a_target_that_is_too_short_is_caught_before_the_tiles() {
    let mut rows = TileRows::default();
    rows.resize(32, 32, 1);
    let columns = TileColumns::of_weight(&[1.0; 32], 32, &[], 1);
    Session::new(Instructions::best()).multiply((&rows, 0, 32), (&columns, 0, 0), &mut [0.0; 1023], 32);
}

#[test]
#[should_panic(expected = "target too short")]
fn a_target_too_short_for_the_slices_of_its_rows_is_caught_before_they_are_cut() {
    let target = (&mut [0; 191][..], 96, 32);
    cut_block(Instructions::best(), (&[1.0; 2 * BLOCK], &[0.0; BLOCK]), 3, target);
}

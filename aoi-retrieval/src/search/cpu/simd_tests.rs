//! Every instruction set against the safe portable form.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "small numbers made for a test"
)]

use aoi_testing::Seeded;

use super::simd::Isa;
use super::tile::{FloatTile, GROUP, IntTile, LANES};

fn lanes(s: &mut Seeded) -> [f32; LANES] {
    std::array::from_fn(|_| s.unit() as f32 + 0.5)
}

/// Checks all levels on one shape with extreme codes among random ones.
fn compare(head_words: usize, tail_words: usize, seed: u64) {
    let mut s = Seeded::new(seed);
    let byte = |s: &mut Seeded| [0, 1, 127, 128, 255, s.below(256)][s.below(6)] as u8;
    let head: [Vec<i16>; 2] =
        [0, 1].map(|_| (0..head_words * 2 * LANES).map(|_| s.below(8000) as i16 - 4000).collect());
    let tail: [Vec<u8>; 2] = [0, 1].map(|_| (0..tail_words * 4 * LANES).map(|_| byte(&mut s)).collect());
    let head_q: Vec<i32> = (0..head_words * GROUP)
        .map(|_| bytemuck::cast([s.below(8000) as i16 - 4000, s.below(8000) as i16 - 4000]))
        .collect();
    let tail_q: Vec<i32> =
        (0..tail_words * GROUP).map(|_| bytemuck::cast([(); 4].map(|()| byte(&mut s)))).collect();
    // The same codes as the matrix unit takes them: whole blocks of 16 words, query by query.
    let tail_blocks: Vec<i8> = tail_q
        .as_chunks::<{ 16 * GROUP }>()
        .0
        .iter()
        .flat_map(|block| {
            (0..GROUP).flat_map(move |i| {
                (0..16).flat_map(move |w| bytemuck::cast::<_, [i8; 4]>(block[w * GROUP + i]))
            })
        })
        .collect();
    let offsets = std::array::from_fn(|_| s.below(1000) as i32 - 500);
    // Powers of two: products by them are exact, so fused and separate forms agree to the last bit.
    let (scale, bias) = ([[0.5; LANES], [0.25; LANES]], [[64.0; LANES], [0.0; LANES]]);
    let query_scale = [2.0; LANES];
    let tile = IntTile {
        head: [&head[0], &head[1]],
        tail: [&tail[0], &tail[1]],
        head_words: &head_q,
        tail_words: &tail_q,
        tail_blocks: &tail_blocks,
        offsets: &offsets,
        shift: 6,
        scale: [&scale[0], &scale[1]],
        bias: [&bias[0], &bias[1]],
        query_scale: &query_scale,
    };
    let one = |all: &[i32]| -> Vec<i32> { all.as_chunks::<GROUP>().0.iter().map(|w| w[3]).collect() };
    let words = (one(&head_q), one(&tail_q));
    let expected = Isa::PORTABLE.int_maxima(&Isa::PORTABLE.session(), &tile);
    let sums = Isa::PORTABLE.int_row_sums((&head[0], &tail[0]), (&words.0, &words.1), 6);
    let best = *sums.iter().max().unwrap() + offsets[3];
    assert_eq!(expected[0][3], best as f32 + 64.0, "the maximum of the row sums");
    for isa in Isa::available() {
        let found = isa.int_maxima(&isa.session(), &tile);
        assert_eq!(found, expected, "{isa:?}, {head_words} + {tail_words} words");
        assert_eq!(isa.int_row_sums((&head[0], &tail[0]), (&words.0, &words.1), 6), sums, "{isa:?}");
    }
}

#[test]
fn integer_tiles_are_equal_at_every_level() {
    assert!(!Isa::available().is_empty());
    for (head, tail) in [(0, 1), (1, 0), (8, 3), (0, 16), (3, 17), (8, 47), (16, 96), (16, 5)] {
        for seed in 0..4 {
            compare(head, tail, seed);
        }
    }
}

#[test]
fn float_tiles_are_equal_at_every_level_on_lattice_data() {
    for d in [1, 2, 7, 64] {
        let panel = [1, 2].map(|seed| aoi_testing::lattice_f32(d * LANES, seed));
        let words = aoi_testing::lattice_f32(d * GROUP, 3);
        let mut s = Seeded::new(4);
        let bias = [lanes(&mut s), [f32::NEG_INFINITY; LANES]];
        let tile = FloatTile { panel: [&panel[0], &panel[1]], words: &words, bias: [&bias[0], &bias[1]] };
        let expected = Isa::PORTABLE.float_maxima(&tile);
        let by_hand = (0..LANES)
            .map(|lane| {
                (0..d).map(|j| panel[0][j * LANES + lane] * words[j * GROUP + 5]).sum::<f32>() + bias[0][lane]
            })
            .fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(expected[0][5], by_hand);
        assert!(expected[1].iter().all(|&m| m == f32::NEG_INFINITY));
        for isa in Isa::available() {
            assert_eq!(isa.float_maxima(&tile), expected, "{isa:?}, d {d}");
        }
    }
}

//! Every instruction set against the safe portable form.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "small numbers made for a test"
)]

use aoi_testing::Seeded;

use super::isa::Isa;
use super::tile::{Aligned, FloatTile, GROUP, IntTile, LANES, QueryLine, Rest, Scores, UNASKED};

fn lanes(s: &mut Seeded) -> [f32; LANES] {
    std::array::from_fn(|_| s.unit() as f32 + 0.5)
}

/// A group of coded queries, in both orders.
struct Queries {
    head: Vec<i32>,
    tail: Vec<i32>,
    /// The codes of `tail` as the matrix unit takes them: whole blocks of 16 words, query by query.
    blocks: Vec<QueryLine>,
    rest: Option<[i32; GROUP]>,
    offsets: [i32; LANES],
}

fn byte(s: &mut Seeded) -> u8 {
    [0, 1, 127, 128, 255, s.below(256)][s.below(6)] as u8
}

fn head_code(s: &mut Seeded) -> i16 {
    s.below(8000) as i16 - 4000
}

fn queries(head_words: usize, rest: bool, tail_words: usize, s: &mut Seeded) -> Queries {
    let rest = rest.then(|| [(); GROUP].map(|()| bytemuck::cast([0, head_code(s).abs()])));
    let head = (0..head_words * GROUP).map(|_| bytemuck::cast([head_code(s), head_code(s)])).collect();
    let tail: Vec<i32> = (0..tail_words * GROUP).map(|_| bytemuck::cast([(); 4].map(|()| byte(s)))).collect();
    let block = |words: &[i32; 16 * GROUP], i: usize| -> QueryLine {
        let words: [i32; 16] = std::array::from_fn(|w| words[w * GROUP + i]);
        Aligned(bytemuck::cast(words))
    };
    let blocks = tail
        .as_chunks::<{ 16 * GROUP }>()
        .0
        .iter()
        .flat_map(|words| (0..GROUP).map(move |i| block(words, i)))
        .collect();
    Queries { head, tail, blocks, rest, offsets: std::array::from_fn(|_| s.below(1000) as i32 - 500) }
}

/// Checks all levels on one shape with extreme codes among random ones.
fn compare((head_words, rest, tail_words): (usize, bool, usize), seed: u64) {
    let mut s = Seeded::new(seed);
    let mut pairs = |words: usize| -> [Vec<_>; 2] {
        [(); 2].map(|()| (0..words).map(|_| Aligned([(); 2 * LANES].map(|()| head_code(&mut s)))).collect())
    };
    let (head, left_out) = (pairs(head_words), pairs(1));
    let tail: [Vec<_>; 2] =
        [(); 2].map(|()| (0..tail_words).map(|_| Aligned([(); 4 * LANES].map(|()| byte(&mut s)))).collect());
    let both = [(); 2].map(|()| queries(head_words, rest, tail_words, &mut s));
    // Powers of two: products by them are exact, so fused and separate forms agree to the last bit.
    let (scale, bias) = ([[0.5; LANES], [0.25; LANES]], [[64.0; LANES], [0.0; LANES]]);
    let query_scale = [2.0; LANES];
    let tiles = [0, 1].map(|g: usize| IntTile {
        head: [&head[0], &head[1]],
        tail: [&tail[0], &tail[1]],
        ahead: 2 * tail[0].len(),
        head_words: &both[g].head,
        tail_words: &both[g].tail,
        tail_blocks: &both[g].blocks,
        offsets: &both[g].offsets,
        shift: 6,
        scale: [&scale[0], &scale[1]],
        bias: [&bias[0], &bias[1]],
        query_scale: &query_scale,
        rest: both[g].rest.as_ref().map(|words| Rest { lines: [&left_out[0][0], &left_out[1][0]], words }),
    });
    let compute = |isa: Isa, both_asked: bool| {
        let mut scores = [Scores::EMPTY; 2];
        let maxima = isa.int_maxima(&mut isa.session(), &tiles, both_asked, &mut scores);
        (maxima, scores)
    };
    let expected = compute(Isa::PORTABLE, true);
    // One query of each group and one row by hand.
    let (q, row) = (3, 11);
    for (g, group) in both.iter().enumerate() {
        let head_codes = |w: usize| bytemuck::cast::<_, [i16; 2]>(group.head[w * GROUP + q]);
        let tail_codes = |w: usize| bytemuck::cast::<_, [i8; 4]>(group.tail[w * GROUP + q]);
        let head_sum: i32 = (0..2 * head_words)
            .map(|i| i32::from(head[1][i / 2].0[2 * row + i % 2]) * i32::from(head_codes(i / 2)[i % 2]))
            .sum();
        let tail_sum: i32 = (0..4 * tail_words)
            .map(|i| i32::from(tail[1][i / 4].0[4 * row + i % 4]) * i32::from(tail_codes(i / 4)[i % 4]))
            .sum();
        let rest_sum: i32 = group
            .rest
            .iter()
            .flat_map(|words| bytemuck::cast::<_, [i16; 2]>(words[q]))
            .zip(&left_out[1][0].0[2 * row..])
            .map(|(q, x)| i32::from(q) * i32::from(*x))
            .sum();
        let score = ((head_sum >> 6) + rest_sum + tail_sum + group.offsets[q]) as f32 * 0.25 * 2.0;
        assert_eq!(expected.1[g].0[1][q][row], score, "one score of group {g} by hand");
        let best = expected.1[g].0[0][q].into_iter().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(expected.0[g][0][q], best, "the maximum of the scores of group {g}");
    }
    for isa in Isa::available() {
        assert_eq!(compute(isa, true), expected, "{isa:?}, {head_words} + {tail_words} words, {rest}");
        for ((g, p), q) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().zip([0, 5, 12, 13]) {
            assert_eq!(
                isa.int_scores(&tiles[g], p, q),
                expected.1[g].0[p][q],
                "{isa:?}, one query and panel"
            );
        }
        let ([first, second], scores) = compute(isa, false);
        assert_eq!((first, second), (expected.0[0], UNASKED), "{isa:?}, one group alone");
        assert_eq!(scores[0], expected.1[0], "{isa:?}, one group alone");
    }
}

#[test]
fn integer_tiles_are_equal_at_every_level() {
    assert!(!Isa::available().is_empty());
    for (head, tail) in [(0, 1), (1, 0), (8, 3), (0, 16), (3, 17), (8, 47), (16, 96), (16, 5)] {
        for seed in 0..4 {
            compare((head, seed % 2 == 1, tail), seed);
        }
    }
}

#[test]
fn float_tiles_are_equal_at_every_level_on_lattice_data() {
    for d in [1, 2, 7, 64] {
        let panel = [1, 2].map(|seed| {
            let numbers = aoi_testing::lattice_f32(d * LANES, seed);
            numbers.as_chunks::<LANES>().0.iter().map(|&line| Aligned(line)).collect::<Vec<_>>()
        });
        let words = aoi_testing::lattice_f32(d * GROUP, 3);
        let mut s = Seeded::new(4);
        let bias = [lanes(&mut s), [f32::NEG_INFINITY; LANES]];
        let tile = FloatTile { panel: [&panel[0], &panel[1]], words: &words, bias: [&bias[0], &bias[1]] };
        let compute = |isa: Isa| {
            let mut scores = Scores::EMPTY;
            let maxima = isa.float_maxima(&tile, &mut scores);
            (maxima, scores)
        };
        let expected = compute(Isa::PORTABLE);
        let by_hand: [f32; LANES] = std::array::from_fn(|lane| {
            (0..d).map(|j| panel[0][j].0[lane] * words[j * GROUP + 5]).sum::<f32>() + bias[0][lane]
        });
        assert_eq!(expected.1.0[0][5], by_hand);
        assert_eq!(expected.0[0][5], by_hand.into_iter().fold(f32::NEG_INFINITY, f32::max));
        assert!(expected.0[1].iter().all(|&m| m == f32::NEG_INFINITY));
        for isa in Isa::available() {
            assert_eq!(compute(isa), expected, "{isa:?}, d {d}");
        }
    }
}

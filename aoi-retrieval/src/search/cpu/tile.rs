//! The tile products in safe code: what the AVX-512 forms in [`super::isa`] compute, and what runs without them.
//!
//! Integer sums are the same in every form. Float sums may be fused or not; the error bounds hold for both.

#![expect(clippy::needless_range_loop, reason = "lanes are indices here: several arrays move in step")]

/// Queries in a tile.
pub(crate) const GROUP: usize = 14;
/// Rows in a panel, which is also a bin: one vector lane a row.
pub(crate) const LANES: usize = 16;

/// At the start of a cache line. A load of 64 bytes that starts elsewhere reads two lines; tiles whose rows all do took three to four
/// times as long.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Aligned<T>(pub(crate) T);

/// Two head codes of each row of a panel.
pub(crate) type HeadLine = Aligned<[i16; 2 * LANES]>;
/// Four tail codes, plus 128, of each row of a panel.
pub(crate) type TailLine = Aligned<[u8; 4 * LANES]>;
/// 64 tail codes of one query.
pub(crate) type QueryLine = Aligned<[i8; 4 * LANES]>;
/// One number of each row of a panel.
pub(crate) type FloatLine = Aligned<[f32; LANES]>;

/// Best scores of a tile: panel, query; lanes from [`GROUP`] on are negative infinity.
pub(crate) type Maxima = [[f32; LANES]; 2];

/// Best scores of a group without queries: nothing reaches a cut, and nothing need be computed.
pub(crate) const UNASKED: Maxima = [[f32::NEG_INFINITY; LANES]; 2];

/// Approximate scores of a tile, biases included: panel, query, row.
pub(crate) type Scores = Aligned<[[[f32; LANES]; GROUP]; 2]>;

impl Scores {
    /// Room for the scores of a tile.
    pub(crate) const EMPTY: Self = Self([[[f32::NAN; LANES]; GROUP]; 2]);
}

/// Two panels of the compact copy against a group of coded queries.
///
/// # Shapes
/// `head` `[m / 2]` lines, `tail` `[ceil(d / 4)]` lines, `head_words` and `tail_words` `[steps, 14]` with two i16 or four i8 codes a word,
/// `offsets` `-128 x` the sum of a query's tail codes. `tail_blocks` `[blocks, 14]` repeats the first `16 blocks` tail words query by
/// query for the matrix unit; empty where there is none.
pub(crate) struct IntTile<'a> {
    pub(crate) head: [&'a [HeadLine]; 2],
    pub(crate) tail: [&'a [TailLine]; 2],
    /// How many lines after each of the tail the one lies that the next tile reads in its place; what lies there is fetched. 0 where that is there already.
    pub(crate) ahead: usize,
    pub(crate) head_words: &'a [i32],
    pub(crate) tail_words: &'a [i32],
    pub(crate) tail_blocks: &'a [QueryLine],
    pub(crate) offsets: &'a [i32; LANES],
    pub(crate) shift: u32,
    pub(crate) scale: [&'a [f32; LANES]; 2],
    pub(crate) bias: [&'a [f32; LANES]; 2],
    pub(crate) query_scale: &'a [f32; LANES],
    /// For sums that are left before the end of the tail.
    pub(crate) rest: Option<Rest<'a>>,
}

/// One step more of pairs, which comes to at least what a sum leaves out.
pub(crate) struct Rest<'a> {
    pub(crate) lines: [&'a HeadLine; 2],
    pub(crate) words: &'a [i32; GROUP],
}

/// Two panels of centred f32 rows against a group of centred queries.
///
/// # Shapes
/// `panel` `[d]` lines, `words` `[d, 14]`.
pub(crate) struct FloatTile<'a> {
    pub(crate) panel: [&'a [FloatLine]; 2],
    pub(crate) words: &'a [f32],
    pub(crate) bias: [&'a [f32; LANES]; 2],
}

/// The two i16 of a word.
#[inline]
fn pair(word: i32) -> [i16; 2] {
    bytemuck::cast(word)
}

/// Adds products of a pair of 16-bit codes of a query with those of the 16 rows of a panel.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
fn add_pair(sums: &mut [i32; LANES], Aligned(line): &HeadLine, word: i32) {
    let [q0, q1] = pair(word).map(i32::from);
    for lane in 0..LANES {
        sums[lane] += i32::from(line[2 * lane]) * q0 + i32::from(line[2 * lane + 1]) * q1;
    }
}

/// The sums `(head >> shift) + rest + tail` of one query with the 16 rows of a panel.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
fn int_row_sums(t: &IntTile<'_>, p: usize, query: usize) -> [i32; LANES] {
    let mut sums = [0_i32; LANES];
    for (line, words) in t.head[p].iter().zip(t.head_words.as_chunks::<GROUP>().0) {
        add_pair(&mut sums, line, words[query]);
    }
    for sum in &mut sums {
        *sum >>= t.shift;
    }
    if let Some(rest) = &t.rest {
        add_pair(&mut sums, rest.lines[p], rest.words[query]);
    }
    let tail_words = t.tail_words.as_chunks::<GROUP>().0;
    for (Aligned(block), words) in t.tail[p].iter().zip(tail_words) {
        let q: [i8; 4] = bytemuck::cast(words[query]);
        for lane in 0..LANES {
            for part in 0..4 {
                sums[lane] += i32::from(block[4 * lane + part]) * i32::from(q[part]);
            }
        }
    }
    sums
}

/// Scores and bin maxima of an integer tile.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
pub(crate) fn int_maxima(t: &IntTile<'_>, scores: &mut Scores) -> Maxima {
    let mut maxima = [[f32::NEG_INFINITY; LANES]; 2];
    for i in 0..GROUP {
        for p in 0..2 {
            let values = int_scores(t, p, i);
            scores.0[p][i] = values;
            for value in values {
                maxima[p][i] = maxima[p][i].max(value);
            }
        }
    }
    maxima
}

/// Scores of one query with the rows of one panel of an integer tile.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
pub(crate) fn int_scores(t: &IntTile<'_>, p: usize, query: usize) -> [f32; LANES] {
    let sums = int_row_sums(t, p, query);
    std::array::from_fn(|lane| {
        score_of_sum(sums[lane] + t.offsets[query], t.scale[p][lane], t.query_scale[query]) + t.bias[p][lane]
    })
}

/// An integer sum as an approximate score, without the row's bias.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "the error bound counts this rounding")]
fn score_of_sum(sum: i32, row_scale: f32, query_scale: f32) -> f32 {
    sum as f32 * row_scale * query_scale
}

/// Scores and bin maxima of an f32 tile.
#[inline(always)]
pub(crate) fn float_maxima<const FUSED: bool>(t: &FloatTile<'_>, scores: &mut Scores) -> Maxima {
    /// Queries at a time: two rows of two AVX2 registers each leave room for the operands.
    const PART: usize = 2;
    let mut maxima = [[f32::NEG_INFINITY; LANES]; 2];
    for part in 0..GROUP / PART {
        let mut sums = [[[0.0_f32; LANES]; 2]; PART];
        let panels = t.panel[0].iter().zip(t.panel[1]);
        for ((Aligned(a), Aligned(b)), words) in panels.zip(t.words.as_chunks::<GROUP>().0) {
            for i in 0..PART {
                let q = words[part * PART + i];
                for (sum, x) in sums[i].iter_mut().zip([a, b]) {
                    for lane in 0..LANES {
                        sum[lane] =
                            if FUSED { x[lane].mul_add(q, sum[lane]) } else { x[lane] * q + sum[lane] };
                    }
                }
            }
        }
        for i in 0..PART {
            for p in 0..2 {
                for lane in 0..LANES {
                    let value = sums[i][p][lane] + t.bias[p][lane];
                    scores.0[p][part * PART + i][lane] = value;
                    maxima[p][part * PART + i] = maxima[p][part * PART + i].max(value);
                }
            }
        }
    }
    maxima
}

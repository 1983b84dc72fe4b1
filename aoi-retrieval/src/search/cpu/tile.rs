//! The tile products in safe code: what the AVX-512 forms in [`super::simd`] compute, and what runs without them.
//!
//! Integer sums are the same in every form. Float sums may be fused or not; the error bounds hold for both.

#![expect(clippy::needless_range_loop, reason = "lanes are indices here: several arrays move in step")]

/// Queries in a tile.
pub(crate) const GROUP: usize = 14;
/// Rows in a panel, which is also a bin: one vector lane a row.
pub(crate) const LANES: usize = 16;

/// Two panels of the compact copy against a group of coded queries.
///
/// # Shapes
/// `head` `[m / 2, 16, 2]`, `tail` `[ceil(d / 4), 16, 4]` with codes + 128, `head_words` and `tail_words` `[steps, 14]` with two
/// i16 or four i8 codes a word, `offsets` `-128 x` the sum of a query's tail codes. `tail_blocks` `[blocks, 14, 64]` repeats the first
/// `16 blocks` tail words query by query for the matrix unit; empty where there is none.
pub(crate) struct IntTile<'a> {
    pub(crate) head: [&'a [i16]; 2],
    pub(crate) tail: [&'a [u8]; 2],
    pub(crate) head_words: &'a [i32],
    pub(crate) tail_words: &'a [i32],
    pub(crate) tail_blocks: &'a [i8],
    pub(crate) offsets: &'a [i32; LANES],
    pub(crate) shift: u32,
    pub(crate) scale: [&'a [f32; LANES]; 2],
    pub(crate) bias: [&'a [f32; LANES]; 2],
    pub(crate) query_scale: &'a [f32; LANES],
}

/// Two panels of centred f32 rows against a group of centred queries.
///
/// # Shapes
/// `panel` `[d, 16]`, `words` `[d, 14]`.
pub(crate) struct FloatTile<'a> {
    pub(crate) panel: [&'a [f32]; 2],
    pub(crate) words: &'a [f32],
    pub(crate) bias: [&'a [f32; LANES]; 2],
}

/// The two i16 of a word.
#[inline]
fn pair(word: i32) -> [i16; 2] {
    bytemuck::cast(word)
}

/// The sums `(head >> shift) + tail` of one query with the 16 rows of a panel.
#[inline]
pub(crate) fn int_row_sums(panel: (&[i16], &[u8]), words: (&[i32], &[i32]), shift: u32) -> [i32; LANES] {
    let mut sums = [0_i32; LANES];
    for (block, &word) in panel.0.as_chunks::<{ 2 * LANES }>().0.iter().zip(words.0) {
        let [q0, q1] = pair(word).map(i32::from);
        for lane in 0..LANES {
            sums[lane] += i32::from(block[2 * lane]) * q0 + i32::from(block[2 * lane + 1]) * q1;
        }
    }
    for sum in &mut sums {
        *sum >>= shift;
    }
    for (block, &word) in panel.1.as_chunks::<{ 4 * LANES }>().0.iter().zip(words.1) {
        let q: [i8; 4] = bytemuck::cast(word);
        for lane in 0..LANES {
            for part in 0..4 {
                sums[lane] += i32::from(block[4 * lane + part]) * i32::from(q[part]);
            }
        }
    }
    sums
}

/// Bin maxima of an integer tile.
#[inline]
pub(crate) fn int_maxima(t: &IntTile<'_>) -> [[f32; LANES]; 2] {
    let mut maxima = [[f32::NEG_INFINITY; LANES]; 2];
    let mut words = (vec![0; t.head_words.len() / GROUP], vec![0; t.tail_words.len() / GROUP]);
    for i in 0..GROUP {
        for (word, group) in words.0.iter_mut().zip(t.head_words.as_chunks::<GROUP>().0) {
            *word = group[i];
        }
        for (word, group) in words.1.iter_mut().zip(t.tail_words.as_chunks::<GROUP>().0) {
            *word = group[i];
        }
        for p in 0..2 {
            let sums = int_row_sums((t.head[p], t.tail[p]), (&words.0, &words.1), t.shift);
            for lane in 0..LANES {
                let value = score_of_sum(sums[lane] + t.offsets[i], t.scale[p][lane], t.query_scale[i]);
                maxima[p][i] = maxima[p][i].max(value + t.bias[p][lane]);
            }
        }
    }
    maxima
}

/// An integer sum as an approximate score, without the row's bias.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "the error bound counts this rounding")]
pub(crate) fn score_of_sum(sum: i32, row_scale: f32, query_scale: f32) -> f32 {
    sum as f32 * row_scale * query_scale
}

/// Bin maxima of an f32 tile.
#[inline]
pub(crate) fn float_maxima<const FUSED: bool>(t: &FloatTile<'_>) -> [[f32; LANES]; 2] {
    /// Queries at a time: two rows of two AVX2 registers each leave room for the operands.
    const PART: usize = 2;
    let mut maxima = [[f32::NEG_INFINITY; LANES]; 2];
    for part in 0..GROUP / PART {
        let mut sums = [[[0.0_f32; LANES]; 2]; PART];
        let panels = t.panel[0].as_chunks::<LANES>().0.iter().zip(t.panel[1].as_chunks::<LANES>().0);
        for ((a, b), words) in panels.zip(t.words.as_chunks::<GROUP>().0) {
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
                    maxima[p][part * PART + i] = maxima[p][part * PART + i].max(value);
                }
            }
        }
    }
    maxima
}

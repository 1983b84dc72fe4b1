//! The two tile products written for AVX-512.
//!
//! A tile is 14 queries by two panels of 16 rows. Panels are interleaved along the width, so that a vector lane is a
//! row: 28 accumulators, two panel vectors and one broadcast word fill 31 of the 32 registers, and 16 loads feed 28
//! products. Each function has a safe twin in [`super::tile`], which runs where the instructions are missing and which
//! the tests hold it against.

#![expect(clippy::needless_range_loop, reason = "registers are indices here: several arrays move in step")]

#[allow(clippy::wildcard_imports, reason = "twenty of the vendor's names; not reported in test builds")]
use std::arch::x86_64::*;

use super::amx::{self, Sums};
use super::tile::{Aligned, FloatTile, GROUP, IntTile, LANES, Maxima, Scores};

/// 64 bytes of a panel as one vector.
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector load through a pointer")]
fn load<T: bytemuck::Pod>(block: &[T]) -> __m512i {
    assert!(size_of_val(block) >= 64, "a vector holds 64 bytes");
    // SAFETY: the slice covers the 64 bytes that are read, and unaligned loads are allowed.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector load through a pointer")]
fn load_floats(block: &[f32; LANES]) -> __m512 {
    // SAFETY: the array is the 64 bytes that are read.
    unsafe { _mm512_loadu_ps(block.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector store through a pointer")]
fn store_floats(v: __m512) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    // SAFETY: the array is the 64 bytes that are written.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), v) };
    out
}

/// Where query `i` must stand so that the tree of [`lane_maxima`] leaves its maximum in lane `i`.
const SEAT: [usize; LANES] = {
    let mut seat = [0; LANES];
    let mut lane = 0;
    while lane < LANES {
        seat[lane] = [0, 2, 1, 3][lane % 4] + [0, 8, 4, 12][lane / 4];
        lane += 1;
    }
    seat
};

/// The maximum of each of 16 vectors: at every step two vectors become one that holds half-maxima of both.
#[inline]
#[target_feature(enable = "avx512f")]
fn lane_maxima(v: &[__m512; LANES]) -> __m512 {
    let mut a = [_mm512_setzero_ps(); 8];
    for i in 0..8 {
        a[i] = _mm512_max_ps(
            _mm512_shuffle_f32x4::<0x44>(v[i], v[i + 8]),
            _mm512_shuffle_f32x4::<0xEE>(v[i], v[i + 8]),
        );
    }
    let mut b = [_mm512_setzero_ps(); 4];
    for i in 0..4 {
        b[i] = _mm512_max_ps(
            _mm512_shuffle_f32x4::<0x88>(a[i], a[i + 4]),
            _mm512_shuffle_f32x4::<0xDD>(a[i], a[i + 4]),
        );
    }
    let mut c = [_mm512_setzero_ps(); 2];
    for i in 0..2 {
        c[i] = _mm512_max_ps(
            _mm512_shuffle_ps::<0x44>(b[i], b[i + 2]),
            _mm512_shuffle_ps::<0xEE>(b[i], b[i + 2]),
        );
    }
    _mm512_max_ps(_mm512_shuffle_ps::<0x88>(c[0], c[1]), _mm512_shuffle_ps::<0xDD>(c[0], c[1]))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn int_maxima(t: &IntTile<'_>, tiles: Option<(&Sums, usize)>, scores: &mut Scores) -> Maxima {
    if t.rest.is_some() {
        int_maxima_of::<true>(t, tiles, scores)
    } else {
        int_maxima_of::<false>(t, tiles, scores)
    }
}

/// `REST` says whether the tile has one.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn int_maxima_of<const REST: bool>(
    t: &IntTile<'_>,
    tiles: Option<(&Sums, usize)>,
    scores: &mut Scores,
) -> Maxima {
    let mut sums = [[_mm512_setzero_si512(); 2]; GROUP];
    let heads = t.head[0].iter().zip(t.head[1]);
    for ((Aligned(a), Aligned(b)), words) in heads.zip(t.head_words.as_chunks::<GROUP>().0) {
        let (a, b) = (load(a), load(b));
        for i in 0..GROUP {
            let q = _mm512_set1_epi32(words[i]);
            sums[i][0] = _mm512_dpwssd_epi32(sums[i][0], a, q);
            sums[i][1] = _mm512_dpwssd_epi32(sums[i][1], b, q);
        }
    }
    let shift = _mm_cvtsi32_si128(t.shift.cast_signed());
    for i in 0..GROUP {
        let offset = _mm512_set1_epi32(t.offsets[i]);
        sums[i][0] = _mm512_add_epi32(_mm512_sra_epi32(sums[i][0], shift), offset);
        sums[i][1] = _mm512_add_epi32(_mm512_sra_epi32(sums[i][1], shift), offset);
    }
    let mut done = 0;
    if let Some((tiles, first)) = tiles {
        done = t.tail_blocks.len() / GROUP * amx::DEPTH / 4;
        for i in 0..GROUP {
            for p in 0..2 {
                sums[i][p] = _mm512_add_epi32(sums[i][p], load(&tiles.0[first + p][i]));
            }
        }
    }
    let tails = t.tail[0].iter().zip(t.tail[1]);
    for ((Aligned(a), Aligned(b)), words) in tails.zip(t.tail_words.as_chunks::<GROUP>().0).skip(done) {
        for line in [a, b] {
            // Past the end nothing is fetched, and nothing read.
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(64 * t.ahead).cast());
        }
        let (a, b) = (load(a), load(b));
        for i in 0..GROUP {
            let q = _mm512_set1_epi32(words[i]);
            sums[i][0] = _mm512_dpbusd_epi32(sums[i][0], a, q);
            sums[i][1] = _mm512_dpbusd_epi32(sums[i][1], b, q);
        }
    }
    [int_panel_maxima::<0, REST>(&sums, t, scores), int_panel_maxima::<1, REST>(&sums, t, scores)]
}

/// One query, one panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn int_scores(t: &IntTile<'_>, panel: usize, query: usize) -> [f32; LANES] {
    assert!(query < GROUP, "a query of the group");
    let head = lane_sums(t.head[panel], t.head_words, query, |sum, a, b| _mm512_dpwssd_epi32(sum, a, b));
    let tail = lane_sums(t.tail[panel], t.tail_words, query, |sum, a, b| _mm512_dpbusd_epi32(sum, a, b));
    let shifted = _mm512_sra_epi32(head, _mm_cvtsi32_si128(t.shift.cast_signed()));
    let mut sums = _mm512_add_epi32(_mm512_add_epi32(shifted, _mm512_set1_epi32(t.offsets[query])), tail);
    if let Some(rest) = &t.rest {
        let word = _mm512_set1_epi32(rest.words[query]);
        sums = _mm512_dpwssd_epi32(sums, load(&rest.lines[panel].0), word);
    }
    let scale = _mm512_set1_ps(t.query_scale[query]);
    store_floats(int_score(sums, load_floats(t.scale[panel]), scale, load_floats(t.bias[panel])))
}

/// The products of one query's words with the lines of a panel, added up: four sums at a time, so that none waits for its own last product.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn lane_sums<T: bytemuck::Pod, const N: usize>(
    lines: &[Aligned<[T; N]>],
    words: &[i32],
    query: usize,
    multiply: impl Fn(__m512i, __m512i, __m512i) -> __m512i,
) -> __m512i {
    const SUMS: usize = 4;
    let mut sums = [_mm512_setzero_si512(); SUMS];
    let (fours, lines) = lines.as_chunks::<SUMS>();
    let (four_words, words) = words.as_chunks::<{ SUMS * GROUP }>();
    for (lines, words) in fours.iter().zip(four_words) {
        for i in 0..SUMS {
            sums[i] = multiply(sums[i], load(&lines[i].0), _mm512_set1_epi32(words[i * GROUP + query]));
        }
    }
    for (Aligned(line), words) in lines.iter().zip(words.as_chunks::<GROUP>().0) {
        sums[0] = multiply(sums[0], load(line), _mm512_set1_epi32(words[query]));
    }
    _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3]))
}

/// Integer sums as scores.
#[inline]
#[target_feature(enable = "avx512f")]
fn int_score(sums: __m512i, scale: __m512, query_scale: __m512, bias: __m512) -> __m512 {
    _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), scale), query_scale, bias)
}

/// The rest, scales, biases and the maximum for one panel. The panel is a constant: an index known only at run time would force
/// the accumulators of the loops before into memory.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn int_panel_maxima<const P: usize, const REST: bool>(
    sums: &[[__m512i; 2]; GROUP],
    t: &IntTile<'_>,
    scores: &mut Scores,
) -> [f32; LANES] {
    let (scale, bias) = (load_floats(t.scale[P]), load_floats(t.bias[P]));
    let mut v = [_mm512_set1_ps(f32::NEG_INFINITY); LANES];
    let rest = t.rest.as_ref().filter(|_| REST);
    for i in 0..GROUP {
        let sum = rest.map_or(sums[i][P], |rest| {
            _mm512_dpwssd_epi32(sums[i][P], load(&rest.lines[P].0), _mm512_set1_epi32(rest.words[i]))
        });
        let score = int_score(sum, scale, _mm512_set1_ps(t.query_scale[i]), bias);
        scores.0[P][i] = store_floats(score);
        v[SEAT[i]] = score;
    }
    store_floats(lane_maxima(&v))
}

#[target_feature(enable = "avx512f")]
pub(super) fn float_maxima(t: &FloatTile<'_>, scores: &mut Scores) -> Maxima {
    let mut sums = [[_mm512_setzero_ps(); 2]; GROUP];
    let panels = t.panel[0].iter().zip(t.panel[1]);
    for ((Aligned(a), Aligned(b)), words) in panels.zip(t.words.as_chunks::<GROUP>().0) {
        let (a, b) = (load_floats(a), load_floats(b));
        for i in 0..GROUP {
            let q = _mm512_set1_ps(words[i]);
            sums[i][0] = _mm512_fmadd_ps(a, q, sums[i][0]);
            sums[i][1] = _mm512_fmadd_ps(b, q, sums[i][1]);
        }
    }
    [float_panel_maxima::<0>(&sums, t, scores), float_panel_maxima::<1>(&sums, t, scores)]
}

/// Biases and the maximum for one panel.
#[inline]
#[target_feature(enable = "avx512f")]
fn float_panel_maxima<const P: usize>(
    sums: &[[__m512; 2]; GROUP],
    t: &FloatTile<'_>,
    scores: &mut Scores,
) -> [f32; LANES] {
    let bias = load_floats(t.bias[P]);
    let mut v = [_mm512_set1_ps(f32::NEG_INFINITY); LANES];
    for i in 0..GROUP {
        let score = _mm512_add_ps(sums[i][P], bias);
        scores.0[P][i] = store_floats(score);
        v[SEAT[i]] = score;
    }
    store_floats(lane_maxima(&v))
}

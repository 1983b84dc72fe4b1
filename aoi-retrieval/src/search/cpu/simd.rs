//! Instruction sets, and the two tile products written for AVX-512. With [`super::amx`] the only modules with `unsafe`.
//!
//! A tile is 14 queries by two panels of 16 rows. Panels are interleaved along the width, so that a vector lane is a
//! row: 28 accumulators, two panel vectors and one broadcast word fill 31 of the 32 registers, and 16 loads feed 28
//! products. Each function has a safe twin in [`super::tile`], which runs where the instructions are missing and which
//! the tests hold it against.

#![expect(clippy::needless_range_loop, reason = "registers are indices here: several arrays move in step")]

#[cfg(target_arch = "x86_64")]
#[allow(clippy::wildcard_imports, reason = "twenty of the vendor's names; not reported in test builds")]
use std::arch::x86_64::*;

use super::amx::{self, Session, Sums};
use super::tile::{self, Aligned, FloatTile, GROUP, IntTile, LANES, Maxima, Scores, UNASKED};

/// What this processor offers; only detection makes anything but the portable level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Isa(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    Amx,
}

impl Isa {
    /// No instruction beyond the compilation target's.
    pub(crate) const PORTABLE: Self = Self(Level::Portable);

    /// Every level this processor can run, the portable one first.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "grows on x86-64 only"))]
        let mut levels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Self(Level::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    levels.push(Self(Level::Avx512));
                    if is_x86_feature_detected!("avx512vnni") {
                        levels.push(Self(Level::Vnni));
                        if amx::is_available() {
                            levels.push(Self(Level::Amx));
                        }
                    }
                }
            }
        }
        levels
    }

    /// The best level of this processor.
    pub(crate) fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::PORTABLE)
    }

    /// Whether multiply-add is one instruction here (elsewhere `mul_add` would be a slow library call).
    pub(crate) fn fuses(self) -> bool {
        self != Self::PORTABLE
    }

    /// Whether 8-bit codes are multiplied in tiles here.
    pub(crate) fn has_tiles(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.0 == Level::Amx;
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }

    /// What [`Isa::int_maxima`] needs on the thread that calls it.
    pub(crate) fn session(self) -> Session {
        Session::start(self.has_tiles())
    }

    /// Runs `work`, which must be `#[inline(always)]`, and so must what it calls: the compiler would else share its code between the levels,
    /// and that code belongs to none.
    #[inline]
    #[expect(unsafe_code, reason = "calling code compiled for instructions found at run time")]
    pub(crate) fn run<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            Level::Portable => work(),
            // SAFETY: a level other than Portable exists only after detection of its features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { run_avx2(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Vnni | Level::Amx => unsafe { run_avx512(work) },
        }
    }

    /// Scores and bin maxima of two groups of queries with the same panels; of the first alone unless `both` have queries.
    #[inline]
    #[expect(unsafe_code, reason = "calling code compiled for instructions found at run time")]
    pub(crate) fn int_maxima(
        self,
        session: &mut Session,
        tiles: &[IntTile<'_>; 2],
        both: bool,
        scores: &mut [Scores; 2],
    ) -> [Maxima; 2] {
        let [t, u] = tiles;
        let [s, r] = scores;
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Amx if session.has_tiles() && !t.tail_blocks.is_empty() => {
                let sums = session.multiply([t.tail_blocks, u.tail_blocks], t.tail);
                // SAFETY: Amx exists only after detection of Vnni's features.
                let maxima =
                    |t: &IntTile<'_>, at, s: &mut Scores| unsafe { int_maxima_vnni(t, Some((sums, at)), s) };
                [maxima(t, 0, s), if both { maxima(u, 2, r) } else { UNASKED }]
            }
            #[cfg(target_arch = "x86_64")]
            Level::Vnni | Level::Amx => {
                // SAFETY: these levels exist only after detection of their features.
                let maxima = |t: &IntTile<'_>, s: &mut Scores| unsafe { int_maxima_vnni(t, None, s) };
                [maxima(t, s), if both { maxima(u, r) } else { UNASKED }]
            }
            _ => {
                let maxima = |t: &IntTile<'_>, s: &mut Scores| {
                    self.run(
                        #[inline(always)]
                        || tile::int_maxima(t, s),
                    )
                };
                [maxima(t, s), if both { maxima(u, r) } else { UNASKED }]
            }
        }
    }

    /// Scores of one query with the rows of one panel: those that [`Isa::int_maxima`] writes.
    #[inline]
    #[expect(unsafe_code, reason = "calling code compiled for instructions found at run time")]
    pub(crate) fn int_scores(self, t: &IntTile<'_>, panel: usize, query: usize) -> [f32; LANES] {
        match self.0 {
            // SAFETY: these levels exist only after detection of their features.
            #[cfg(target_arch = "x86_64")]
            Level::Vnni | Level::Amx => unsafe { int_scores_vnni(t, panel, query) },
            _ => self.run(
                #[inline(always)]
                || tile::int_scores(t, panel, query),
            ),
        }
    }

    /// Scores and bin maxima of an f32 tile.
    #[inline]
    #[expect(unsafe_code, reason = "calling code compiled for instructions found at run time")]
    pub(crate) fn float_maxima(self, t: &FloatTile<'_>, scores: &mut Scores) -> Maxima {
        match self.0 {
            // SAFETY: these levels exist only after detection of their features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Vnni | Level::Amx => unsafe { float_maxima_avx512(t, scores) },
            _ if self.fuses() => self.run(
                #[inline(always)]
                || tile::float_maxima::<true>(t, scores),
            ),
            _ => tile::float_maxima::<false>(t, scores),
        }
    }
}

/// Asks for the cache lines of a row that will be read soon.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a hint to the processor, compiled into its caller")]
pub(super) fn fetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(LANES) {
        #[expect(unsafe_code, reason = "a hint through a pointer")]
        // SAFETY: a prefetch reads nothing that the program could see, and the instruction is part of every x86-64.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// 64 bytes of a panel as one vector.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector load through a pointer")]
fn load<T: bytemuck::Pod>(block: &[T]) -> __m512i {
    assert!(size_of_val(block) >= 64, "a vector holds 64 bytes");
    // SAFETY: the slice covers the 64 bytes that are read, and unaligned loads are allowed.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vector load through a pointer")]
fn load_floats(block: &[f32; LANES]) -> __m512 {
    // SAFETY: the array is the 64 bytes that are read.
    unsafe { _mm512_loadu_ps(block.as_ptr()) }
}

#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn int_maxima_vnni(t: &IntTile<'_>, tiles: Option<(&Sums, usize)>, scores: &mut Scores) -> Maxima {
    if t.rest.is_some() {
        int_maxima_of::<true>(t, tiles, scores)
    } else {
        int_maxima_of::<false>(t, tiles, scores)
    }
}

/// `REST` says whether the tile has one.
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn int_scores_vnni(t: &IntTile<'_>, panel: usize, query: usize) -> [f32; LANES] {
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
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn int_score(sums: __m512i, scale: __m512, query_scale: __m512, bias: __m512) -> __m512 {
    _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), scale), query_scale, bias)
}

/// The rest, scales, biases and the maximum for one panel. The panel is a constant: an index known only at run time would force
/// the accumulators of the loops before into memory.
#[cfg(target_arch = "x86_64")]
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn float_maxima_avx512(t: &FloatTile<'_>, scores: &mut Scores) -> Maxima {
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
#[cfg(target_arch = "x86_64")]
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

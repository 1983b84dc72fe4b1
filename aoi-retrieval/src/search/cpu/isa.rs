//! Instruction sets: what this processor offers, and which function computes a tile with it. With [`super::amx`] and the functions written for
//! AVX-512 the only modules with `unsafe`.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::amx::{self, Session};
#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::tile::{self, FloatTile, IntTile, LANES, Maxima, Scores, UNASKED};

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
                let maxima = |t: &IntTile<'_>, at, s: &mut Scores| unsafe {
                    avx512::int_maxima(t, Some((sums, at)), s)
                };
                [maxima(t, 0, s), if both { maxima(u, 2, r) } else { UNASKED }]
            }
            #[cfg(target_arch = "x86_64")]
            Level::Vnni | Level::Amx => {
                // SAFETY: these levels exist only after detection of their features.
                let maxima = |t: &IntTile<'_>, s: &mut Scores| unsafe { avx512::int_maxima(t, None, s) };
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
            Level::Vnni | Level::Amx => unsafe { avx512::int_scores(t, panel, query) },
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
            Level::Avx512 | Level::Vnni | Level::Amx => unsafe { avx512::float_maxima(t, scores) },
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

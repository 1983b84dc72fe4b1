//! AVX-512, AVX-512 BF16, AVX-512 VNNI and AVX2 kernels, chosen at run time.
//!
//! Unsafe only where a function with a target feature is called, behind the check that the processor has it; no pointer is touched. The
//! benchmark that justifies it is the ceiling itself: the portable path cannot state fused, bf16 or int8 arithmetic. Tested against the
//! number of multiply-adds, which each kernel must count exactly.

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64 as simd;
use std::hint::black_box;

use crate::ceilings::kernel::Kernel;
use crate::ceilings::memory::sum_in_lanes;

/// Independent accumulators: two ports of a latency up to six are kept busy, and the registers suffice. Those of f32 start
/// from zeros that the compiler cannot see: knowing them all equal, it once moved each to the next register at every step, at three fifths of the speed.
const WIDE: usize = 16;
/// The same for sixteen registers.
const NARROW: usize = 12;

/// The widest path of each operation that the processor has.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    if has_avx512() {
        kernels.push(Kernel::new("f32_fma", "avx512f", f32_avx512, 16 * 16));
        if has!("avx512bf16") {
            kernels.push(Kernel::new("bf16_dot", "avx512bf16", bf16_avx512, 16 * 32));
        }
        if has!("avx512vnni") {
            kernels.push(Kernel::new("int8_dot", "avx512vnni", int8_avx512, 16 * 64));
        }
    } else if has!("avx2") && has!("fma") {
        kernels.push(Kernel::new("f32_fma", "avx2 fma", f32_avx2, 12 * 8));
    }
    #[cfg(target_os = "linux")]
    kernels.extend(crate::ceilings::amx::kernels());
    kernels
}

pub(crate) fn has_avx512() -> bool {
    has!("avx512f")
}

/// The sum of the words through 512-bit loads, where the processor has them.
#[expect(unsafe_code, reason = "a function with a target feature")]
pub(crate) fn sum(words: &[u64]) -> Option<u64> {
    #[target_feature(enable = "avx512f")]
    fn wide(words: &[u64]) -> u64 {
        sum_in_lanes(words)
    }
    // SAFETY: the processor has AVX-512F, which is all that `wide` asks for.
    has_avx512().then(|| unsafe { wide(words) })
}

#[expect(unsafe_code, reason = "a function with a target feature")]
fn f32_avx512(steps: u32) -> f64 {
    #[target_feature(enable = "avx512f")]
    fn body(steps: u32) -> f64 {
        let (a, b) = (simd::_mm512_set1_ps(black_box(1.0)), simd::_mm512_set1_ps(black_box(1.0)));
        let mut sums = [(); WIDE].map(|()| simd::_mm512_set1_ps(black_box(0.0)));
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = simd::_mm512_fmadd_ps(a, b, *sum);
            }
        }
        sums.into_iter().map(|s| lanes(s)).sum()
    }
    assert!(has_avx512(), "chosen without AVX-512F");
    // SAFETY: the line above.
    unsafe { body(steps) }
}

#[expect(unsafe_code, reason = "a function with a target feature")]
fn bf16_avx512(steps: u32) -> f64 {
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn body(steps: u32) -> f64 {
        let one = simd::_mm512_set1_ps(black_box(1.0));
        let (a, b) = (simd::_mm512_cvtne2ps_pbh(one, one), simd::_mm512_cvtne2ps_pbh(one, one));
        let mut sums = [simd::_mm512_setzero_ps(); WIDE];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = simd::_mm512_dpbf16_ps(*sum, a, b);
            }
        }
        sums.into_iter().map(|s| lanes(s)).sum()
    }
    assert!(has_avx512() && has!("avx512bf16"), "chosen without AVX-512 BF16");
    // SAFETY: the line above.
    unsafe { body(steps) }
}

#[expect(unsafe_code, reason = "a function with a target feature")]
fn int8_avx512(steps: u32) -> f64 {
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn body(steps: u32) -> f64 {
        let (a, b) = (simd::_mm512_set1_epi8(black_box(1)), simd::_mm512_set1_epi8(black_box(1)));
        let mut sums = [simd::_mm512_setzero_si512(); WIDE];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = simd::_mm512_dpbusd_epi32(*sum, a, b);
            }
        }
        // Converted lane by lane first: the lanes are whole and below 2^25, their sum is not always.
        sums.into_iter().map(|s| lanes(simd::_mm512_cvtepi32_ps(s))).sum()
    }
    assert!(has_avx512() && has!("avx512vnni"), "chosen without AVX-512 VNNI");
    // SAFETY: the line above.
    unsafe { body(steps) }
}

#[expect(unsafe_code, reason = "a function with a target feature")]
fn f32_avx2(steps: u32) -> f64 {
    #[target_feature(enable = "avx2,fma")]
    fn body(steps: u32) -> f64 {
        let (a, b) = (simd::_mm256_set1_ps(black_box(1.0)), simd::_mm256_set1_ps(black_box(1.0)));
        let mut sums = [(); NARROW].map(|()| simd::_mm256_set1_ps(black_box(0.0)));
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = simd::_mm256_fmadd_ps(a, b, *sum);
            }
        }
        // All lanes of a sum are equal; the first stands for eight.
        sums.into_iter().map(|s| 8.0 * f64::from(simd::_mm256_cvtss_f32(s))).sum()
    }
    assert!(has!("avx2") && has!("fma"), "chosen without AVX2 and FMA");
    // SAFETY: the line above.
    unsafe { body(steps) }
}

/// The sum of sixteen lanes that all count the same: each must equal the first, else the sum is not a number.
#[target_feature(enable = "avx512f")]
fn lanes(sums: simd::__m512) -> f64 {
    let first = simd::_mm512_cvtss_f32(sums);
    let same = simd::_mm512_cmpeq_ps_mask(sums, simd::_mm512_set1_ps(first));
    if same == u16::MAX { 16.0 * f64::from(first) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_avx2_kernel_counts_where_it_can_run() {
        if has!("avx2") && has!("fma") {
            assert_eq!(f32_avx2(1000), 12.0 * 8.0 * 1000.0);
        }
    }
}

//! Reading memory as fast as one instruction stream can: a sum over 64-bit words.

use crate::error::Error;

/// A buffer of so many bytes, every page written.
pub(crate) fn filled(bytes: usize) -> Vec<u64> {
    (0..bytes as u64 / 8).collect()
}

/// Sums a buffer from [`filled`] `passes` times and checks the sum; gives the bytes read.
pub(crate) fn read(words: &[u64], passes: usize) -> (f64, Result<(), Error>) {
    let n = words.len() as u64;
    let once = n.wrapping_mul(n.wrapping_sub(1)) / 2;
    let mut got = 0_u64;
    for _ in 0..passes {
        got = got.wrapping_add(sum(std::hint::black_box(words)));
    }
    let expected = once.wrapping_mul(passes as u64);
    let outcome = if got == expected {
        Ok(())
    } else {
        let what = "sum of the words read".to_owned();
        Err(Error::Answer { what, expected: expected.to_string(), got: got.to_string() })
    };
    ((words.len() * 8 * passes) as f64, outcome)
}

/// The instructions that [`read`] uses.
pub(crate) fn path() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if super::x86::has_avx512() {
        return "avx512f";
    }
    "portable"
}

fn sum(words: &[u64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(sum) = super::x86::sum(words) {
        return sum;
    }
    sum_in_lanes(words)
}

/// Independent lanes let the compiler keep several vector loads in flight.
#[inline]
pub(crate) fn sum_in_lanes(words: &[u64]) -> u64 {
    const LANES: usize = 64;
    let mut sums = [0_u64; LANES];
    let (blocks, rest) = words.as_chunks::<LANES>();
    for block in blocks {
        for (sum, word) in sums.iter_mut().zip(block) {
            *sum = sum.wrapping_add(*word);
        }
    }
    rest.iter().chain(&sums).fold(0, |total, word| total.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_gives_the_sum_of_the_words() {
        for n in [0_usize, 1, 63, 64, 65, 1000] {
            let words: Vec<u64> = (0..n as u64).map(|i| i * i + u64::MAX / 2).collect();
            let plain = words.iter().fold(0_u64, |t, w| t.wrapping_add(*w));
            assert_eq!((sum(&words), sum_in_lanes(&words)), (plain, plain), "{n}");
        }
        assert!(read(&filled(8192), 3).1.is_ok());
        assert!(read(&[7; 64], 1).1.is_err());
    }
}

//! Whole numbers for values: where each lies between the least and the greatest, in equal steps.

/// Lanes in which least and greatest are looked for: enough that none waits for the one before.
const LANES: usize = 8;

/// Steps of equal length from the least of some finite values to the greatest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    least: f64,
    per_unit: f64,
    /// Bits of a number.
    bits: u32,
}

impl Scale {
    /// Numbers of so many bits, 22 at most; none where the values are all alike or their distance is no number.
    pub(crate) fn of(values: &[f64], bits: u32) -> Option<Self> {
        let (least, greatest) = range(values);
        let per_unit = f64::from((1_u32 << bits) - 1) / (greatest - least);
        let usable = per_unit.is_finite() && per_unit > 0.0;
        usable.then_some(Self { least, per_unit, bits })
    }

    /// The number of one of the values; never falls as values rise, because every rounding is monotone.
    #[expect(clippy::cast_possible_truncation, reason = "22 bits")]
    pub(crate) fn number(&self, value: f64) -> u32 {
        // Beyond 2^52 doubles are the whole numbers: the sum is rounded to one, which its last bits spell.
        const WHOLE: f64 = 4_503_599_627_370_496.0;
        let bits = ((value - self.least) * self.per_unit + WHOLE).to_bits();
        bits as u32 & ((1 << self.bits) - 1)
    }
}

/// The least and the greatest of finite values.
fn range(values: &[f64]) -> (f64, f64) {
    let (mut least, mut greatest) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            // Spelled out, each is one vector instruction; `min` and `max` also look for NaN.
            let value = chunk[lane];
            least[lane] = if value < least[lane] { value } else { least[lane] };
            greatest[lane] = if value > greatest[lane] { value } else { greatest[lane] };
        }
    }
    let least = least.iter().chain(rest).copied().fold(f64::INFINITY, f64::min);
    let greatest = greatest.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max);
    (least, greatest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::samples;

    #[test]
    fn numbers_never_fall_as_values_rise_and_use_their_bits() {
        for bits in [4, 16, 22] {
            let mut used = 0;
            for n in [3, LANES, LANES + 1, 5_000] {
                for sample in samples(n) {
                    let Some(scale) = Scale::of(&sample, bits) else { continue };
                    let mut sorted = sample;
                    sorted.sort_by(f64::total_cmp);
                    let numbers: Vec<u32> = sorted.iter().map(|&v| scale.number(v)).collect();
                    assert!(numbers.is_sorted());
                    assert_eq!((numbers.first(), numbers.last()), (Some(&0), Some(&((1 << bits) - 1))));
                    used += 1;
                }
            }
            assert!(used > 16, "{used}");
        }
    }

    #[test]
    fn values_without_a_distance_have_no_scale() {
        assert!(Scale::of(&[], 4).is_none() && Scale::of(&[2.0; 9], 4).is_none());
        assert!(Scale::of(&[f64::MIN, f64::MAX], 4).is_none(), "it overflows");
    }
}

//! Finite values put in ascending order, from a few hundred on faster than by comparisons.
//!
//! Where a value lies between the least and the greatest, as a whole number of two digits, puts it nearly in its place: values are dealt by
//! the low digit, then by the high one. What has the same number is put right by insertion. Where most would have
//! the same, because a few values far from the others stretch the range, all are compared after all. The order is that of [`f64::total_cmp`] whatever the
//! values: the numbers decide how long it takes, never what comes out.

/// Fewer values are compared at once: dealing would cost more than it saves.
const FEW: usize = 256;

/// Up to so many values digits have 8 bits, above 11: about one pair of values in a hundred then shares its number.
const SMALL: usize = 4096;

/// Values of one high digit, as a part of all, before all are compared.
const CROWD: usize = 8;

/// Steps of insertion for each value, before all are compared.
const STEPS: usize = 8;

/// Sorts finite values; -0.0 stands before 0.0.
pub(crate) fn sort(values: &mut [f64]) {
    let bits = if values.len() <= SMALL { 8 } else { 11 };
    let scale = if values.len() < FEW { None } else { Scale::of(values, bits) };
    if !scale.is_some_and(|scale| deal(values, &scale) && insert(values)) {
        compare(values);
    }
}

/// Sorts by comparisons of ranks.
fn compare(values: &mut [f64]) {
    let mut ranks: Vec<i64> = values.iter().map(|&value| rank_of(value)).collect();
    ranks.sort_unstable();
    for (value, rank) in values.iter_mut().zip(ranks) {
        *value = value_of(rank);
    }
}

/// An integer that orders as [`f64::total_cmp`] orders values: one comparison is one instruction.
pub(crate) fn rank_of(value: f64) -> i64 {
    flipped(value.to_bits().cast_signed())
}

/// The value of a rank.
pub(crate) fn value_of(rank: i64) -> f64 {
    f64::from_bits(flipped(rank).cast_unsigned())
}

/// Flips all bits but the sign of a negative number: sign and magnitude become two's complement, and back.
fn flipped(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Sorts by the numbers that the scale gives, values of one number in the order in which they stand; gives up, and says so, where many
/// would have the same.
fn deal(values: &mut [f64], scale: &Scale) -> bool {
    let digits = 1 << scale.bits;
    let high = |value: f64| scale.number(value) >> scale.bits;
    let low = |value: f64| scale.number(value) & (digits - 1);
    // How many values have each digit, then where the next one goes.
    let (mut lows, mut highs) = (vec![0_usize; digits], vec![0_usize; digits]);
    for &value in &*values {
        lows[low(value)] += 1;
        highs[high(value)] += 1;
    }
    if highs.iter().any(|&count| count > values.len() / CROWD) {
        return false;
    }
    for places in [&mut lows, &mut highs] {
        let mut sum = 0;
        for place in places {
            sum += std::mem::replace(place, sum);
        }
    }
    let mut dealt = vec![0.0; values.len()];
    put(values, &mut dealt, &mut lows, low);
    put(&dealt, values, &mut highs, high);
    true
}

/// Copies each value to the next place of its digit.
fn put(from: &[f64], to: &mut [f64], places: &mut [usize], digit: impl Fn(f64) -> usize) {
    for &value in from {
        let place = &mut places[digit(value)];
        to[*place] = value;
        *place += 1;
    }
}

/// Puts values right that are nearly in order; gives up, and says so, where that takes too many steps.
fn insert(values: &mut [f64]) -> bool {
    let mut steps = values.len() * STEPS;
    for i in 1..values.len() {
        let value = values[i];
        let mut at = i;
        while at > 0 && value.total_cmp(&values[at - 1]).is_lt() {
            values[at] = values[at - 1];
            at -= 1;
        }
        values[at] = value;
        match steps.checked_sub(i - at) {
            Some(left) => steps = left,
            None => return false,
        }
    }
    true
}

/// Whole numbers for values, equally far apart.
struct Scale {
    least: f64,
    per_unit: f64,
    /// Bits of a digit.
    bits: u32,
}

impl Scale {
    /// None where the values are all alike or their distance is no number.
    fn of(values: &[f64], bits: u32) -> Option<Self> {
        let (least, greatest) =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
        let per_unit = f64::from((1_u32 << (2 * bits)) - 1) / (greatest - least);
        let usable = per_unit.is_finite() && per_unit > 0.0;
        usable.then_some(Self { least, per_unit, bits })
    }

    /// The number of a value, of 22 bits at most; never falls as values rise, because every rounding is monotone.
    #[expect(clippy::cast_possible_truncation, reason = "22 bits")]
    fn number(&self, value: f64) -> usize {
        // Beyond 2^52 doubles are the whole numbers: the sum is rounded to one, which its last bits spell.
        const WHOLE: f64 = 4_503_599_627_370_496.0;
        let bits = ((value - self.least) * self.per_unit + WHOLE).to_bits();
        (bits & ((1 << (2 * self.bits)) - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    /// Smooth, tied, skewed, stretched by one value, growing by powers, extreme, in crowds.
    fn samples(n: usize) -> Vec<Vec<f64>> {
        let mut random = Seeded::new(n as u64);
        let odd = [0.0, -0.0, 5e-324, -5e-324, f64::MAX, f64::MIN, 1.5, -1.5, 45.0, 45.0_f64.next_up()];
        let mut draw = |pick: &mut dyn FnMut(usize, &mut Seeded) -> f64| -> Vec<f64> {
            (0..n).map(|i| pick(i, &mut random)).collect()
        };
        vec![
            draw(&mut |_, r| r.unit() * 100.0 - 50.0),
            draw(&mut |_, r| 100.0 - 10.0 * r.unit() * r.unit()),
            draw(&mut |_, r| r.below(7) as f64 / 10.0),
            draw(&mut |_, r| if r.below(9) == 0 { -0.0 } else { 0.0 }),
            draw(&mut |i, r| if i == 3 { -1e12 } else { r.unit() }),
            draw(&mut |i, r| 2.0_f64.powi(i32::try_from(i % 2000).unwrap() - 1000) * r.unit()),
            draw(&mut |_, r| odd[r.below(odd.len())]),
            draw(&mut |_, r| 40.0 + 1e-13 * r.below(3) as f64),
            draw(&mut |_, _| 7.25),
            draw(&mut |i, r| (i % 16) as f64 + 1e-9 * r.unit()),
        ]
    }

    #[test]
    fn values_come_out_in_total_order_bit_for_bit() {
        let mut sorted = 0;
        for n in [0, 1, 2, FEW - 1, FEW, SMALL, SMALL + 1, 30_000] {
            for sample in samples(n) {
                let mut expected = sample.clone();
                expected.sort_by(f64::total_cmp);
                let mut values = sample;
                sort(&mut values);
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&values), bits(&expected), "{n}");
                sorted += 1;
            }
        }
        assert_eq!(sorted, 80);
    }

    #[test]
    fn numbers_never_fall_as_values_rise_and_use_their_bits() {
        for bits in [8, 11] {
            let mut used = 0;
            for sample in samples(5_000) {
                let Some(scale) = Scale::of(&sample, bits) else { continue };
                let mut sorted = sample;
                sorted.sort_by(f64::total_cmp);
                let numbers: Vec<usize> = sorted.iter().map(|&v| scale.number(v)).collect();
                assert!(numbers.is_sorted());
                assert_eq!((numbers.first(), numbers.last()), (Some(&0), Some(&((1 << (2 * bits)) - 1))));
                used += 1;
            }
            assert!(used > 4, "{used}");
        }
    }
}

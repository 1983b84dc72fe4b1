//! Finite values put in ascending order, from a few hundred on faster than by comparisons.
//!
//! Where a value lies between the least and the greatest, as a whole number of two digits, puts it nearly in its place: values are dealt by
//! the low digit, then by the high one. What has the same number is put right by insertion. Where most would have
//! the same, because a few values far from the others stretch the range, all are compared after all. The order is that of [`f64::total_cmp`] whatever the
//! values: the numbers decide how long it takes, never what comes out.

use crate::scale::Scale;

/// Fewer values are compared at once: dealing would cost more than it saves.
const FEW: usize = 256;

/// Up to so many values there are 256 digits, above 2,048: about one pair of values in a hundred then shares its number.
const SMALL: usize = 4096;

/// Values of one high digit, as a part of all, before all are compared.
const CROWD: usize = 8;

/// Steps of insertion for each value, before all are compared.
const STEPS: usize = 8;

/// Sorts finite values; -0.0 stands before 0.0.
pub(crate) fn sort(values: &mut [f64]) {
    Sorter::default().sort(values);
}

/// Sorts one sample after another, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    /// The number of each value on the scale, worked out once: where the next value goes is then known before it is needed.
    numbers: Vec<u32>,
    /// Values by their low digits, with their numbers.
    dealt: Vec<(f64, u32)>,
}

impl Sorter {
    /// As [`sort`].
    pub(crate) fn sort(&mut self, values: &mut [f64]) {
        let dealt = match values.len() {
            0..FEW => false,
            FEW..=SMALL => self.deal::<256>(values),
            _ => self.deal::<2048>(values),
        };
        if !(dealt && insert(values)) {
            compare(values);
        }
    }

    /// Sorts by the numbers that a scale gives, of two digits, values of one number in the order in which they stand; gives up, and says so,
    /// where there is no scale or many would have the same number.
    fn deal<const DIGITS: usize>(&mut self, values: &mut [f64]) -> bool {
        let bits = DIGITS.ilog2();
        let Some(scale) = Scale::of(values, 2 * bits) else { return false };
        let high = |number: u32| (number >> bits) as usize % DIGITS;
        let low = |number: u32| number as usize % DIGITS;
        self.numbers.clear();
        self.numbers.extend(values.iter().map(|&value| scale.number(value)));
        // How many values have each digit, then where the next one goes.
        let (mut lows, mut highs) = ([0_usize; DIGITS], [0_usize; DIGITS]);
        for &number in &self.numbers {
            lows[low(number)] += 1;
            highs[high(number)] += 1;
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
        if self.dealt.len() < values.len() {
            self.dealt.resize(values.len(), (0.0, 0));
        }
        let dealt = &mut self.dealt[..values.len()];
        for (&value, &number) in values.iter().zip(&self.numbers) {
            let place = &mut lows[low(number)];
            dealt[*place] = (value, number);
            *place += 1;
        }
        for &(value, number) in &*dealt {
            let place = &mut highs[high(number)];
            values[*place] = value;
            *place += 1;
        }
        true
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

/// Puts values right that are nearly in order; gives up, and says so, where that takes too many steps.
fn insert(values: &mut [f64]) -> bool {
    let mut steps = values.len() * STEPS;
    for i in 1..values.len() {
        let value = values[i];
        // Nearly always so, and found by one instruction.
        if value > values[i - 1] {
            continue;
        }
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

/// Smooth, tied, skewed, stretched by one value, growing by powers, extreme, in crowds.
#[cfg(test)]
pub(crate) fn samples(n: usize) -> Vec<Vec<f64>> {
    let mut random = aoi_testing::Seeded::new(n as u64);
    let odd = [0.0, -0.0, 5e-324, -5e-324, f64::MAX, f64::MIN, 1.5, -1.5, 45.0, 45.0_f64.next_up()];
    let mut draw = |pick: &mut dyn FnMut(usize, &mut aoi_testing::Seeded) -> f64| -> Vec<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_in_total_order_bit_for_bit() {
        let (mut sorter, mut sorted) = (Sorter::default(), 0);
        for n in [0, 1, 2, FEW - 1, FEW, SMALL, SMALL + 1, 30_000] {
            for sample in samples(n) {
                let mut expected = sample.clone();
                expected.sort_by(f64::total_cmp);
                let mut values = sample;
                sorter.sort(&mut values);
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&values), bits(&expected), "{n}");
                sorted += 1;
            }
        }
        assert_eq!(sorted, 80);
    }
}

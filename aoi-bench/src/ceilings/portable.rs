//! The multiply-add that every processor has, as the compiler vectorises it.

use std::hint::black_box;

/// Independent accumulators.
const LANES: usize = 32;

/// Multiply-adds in a step.
pub(crate) const PER_STEP: u32 = 32;

pub(crate) fn f32_multiply_add(steps: u32) -> f64 {
    let (a, b) = black_box((1.0_f32, 1.0_f32));
    let mut sums = [0.0_f32; LANES];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = *sum * a + b;
        }
    }
    sums.iter().map(|s| f64::from(*s)).sum()
}

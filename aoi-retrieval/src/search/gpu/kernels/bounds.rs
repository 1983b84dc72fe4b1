//! The twin of `bounds.wgsl`.

use aoi_testing::Seeded;

/// Order of f32 as order of u32; both zeros share a key.
pub(in crate::search::gpu) fn key(x: f32) -> u32 {
    let bits = if x == 0.0 { 0 } else { x.to_bits() };
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// Keys of a lower and an upper bound.
pub(in crate::search::gpu) fn bounds(value: f32, terms: [f32; 4], coefficients: [f32; 4]) -> [u32; 2] {
    let error = (terms[0] * coefficients[0]
        + terms[1] * coefficients[1]
        + terms[2] * coefficients[2]
        + (terms[3] + coefficients[3]))
        * 1.000_01
        + value.abs() * 2.4e-7;
    [key(value - error), key(value + error)]
}

#[test]
fn keys_order_as_numbers_do_and_zero_is_no_key() {
    let mut s = Seeded::new(1);
    let mut all = vec![0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e36, -1e36];
    all.extend(
        (0..500).map(|_| s.normals_f32(1)[0] * 10.0_f32.powi(i32::try_from(s.below(60)).unwrap() - 30)),
    );
    for &a in &all {
        assert!(key(a) > 0);
        for &b in &all {
            assert_eq!(a < b, key(a) < key(b), "{a:e} {b:e}");
        }
    }
}

#[test]
fn bounds_enclose_what_the_exact_error_encloses() {
    let mut s = Seeded::new(2);
    for _ in 0..2000 {
        let value = s.normals_f32(1)[0] * 10.0_f32.powi(i32::try_from(s.below(20)).unwrap() - 10);
        let terms: [f32; 4] = std::array::from_fn(|_| s.normals_f32(1)[0].abs());
        let coefficients: [f32; 4] = std::array::from_fn(|_| s.normals_f32(1)[0].abs() * 1e-4);
        let product: f64 = (0..3).map(|i| f64::from(terms[i]) * f64::from(coefficients[i])).sum();
        let error = product + f64::from(terms[3]) + f64::from(coefficients[3]);
        let number =
            |key: u32| f64::from(f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key }));
        let [lower, upper] = bounds(value, terms, coefficients).map(number);
        let value = f64::from(value);
        assert!(lower <= value - error && value + error <= upper, "{lower} {value} +- {error} {upper}");
        assert!(upper - lower < 2.0 * error * 1.0001 + value.abs() * 1e-6, "not wider than it must be");
    }
}

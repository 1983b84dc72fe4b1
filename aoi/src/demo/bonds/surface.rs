//! How surfaces look: textures, and what each lighting makes of a tilt.

use crate::demo::chance::Chance;

/// What both lightings make of a surface.
pub(super) type Light = [f64; 2];

/// A shiny surface of lightness `albedo` tilted by `tilt` radians.
///
/// The coaxial light comes back from what faces the camera; the ring light from what is tilted by about 38 degrees.
pub(super) fn shiny(albedo: f64, tilt: f64) -> Light {
    let facing = tilt.cos().max(0.0);
    let coaxial = 0.12 + 0.2 * facing + 0.68 * facing.powi(14);
    let off = (tilt - 0.66) / 0.24;
    let ring = 0.07 + 0.1 * facing + 0.8 * (-off * off).exp();
    [albedo * coaxial, albedo * ring]
}

/// A smooth random texture: values between lattice points that hang on a seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texture {
    seed: u64,
}

impl Texture {
    pub(super) fn new(chance: &mut Chance) -> Self {
        Self { seed: chance.bits() }
    }

    /// A value in -1..1 of a place counted in lattice steps.
    #[expect(clippy::cast_possible_truncation, reason = "places in a picture are small")]
    pub(super) fn at(self, x: f64, y: f64) -> f64 {
        let (x0, y0) = (x.floor(), y.floor());
        let smooth = |t: f64| t * t * (3.0 - 2.0 * t);
        let (fx, fy) = (smooth(x - x0), smooth(y - y0));
        let corner = |dx: i64, dy: i64| self.point(x0 as i64 + dx, y0 as i64 + dy);
        let top = corner(0, 0) * (1.0 - fx) + corner(1, 0) * fx;
        let bottom = corner(0, 1) * (1.0 - fx) + corner(1, 1) * fx;
        top * (1.0 - fy) + bottom * fy
    }

    /// The value of a lattice point.
    pub(super) fn point(self, x: i64, y: i64) -> f64 {
        let mut z = self.seed ^ x.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ y.cast_unsigned();
        z = (z ^ (z >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 30;
        2.0 * (z >> 11) as f64 / (1_u64 << 53) as f64 - 1.0
    }
}

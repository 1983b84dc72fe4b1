//! The arithmetic kernels that the processor at hand can run.

use crate::ceilings::portable;
#[cfg(target_arch = "x86_64")]
use crate::ceilings::x86;
use crate::error::Error;

/// An operation repeated on registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    /// Sums over all lanes and accumulators after so many steps from zero, each adding `per_step`.
    body: fn(u32) -> f64,
    /// What one step adds to that sum: one per multiply-add.
    per_step: u32,
}

impl Kernel {
    /// The kernels of this processor, the widest path of each operation.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let found = x86::kernels();
            if !found.is_empty() {
                return found;
            }
        }
        vec![Self::new("f32_fma", "portable", portable::f32_multiply_add, portable::PER_STEP)]
    }

    pub(crate) fn new(name: &'static str, path: &'static str, body: fn(u32) -> f64, per_step: u32) -> Self {
        Self { name, path, body, per_step }
    }

    pub(crate) fn run(&self, steps: u32) -> f64 {
        (self.body)(steps)
    }

    /// Multiplications and additions in `steps`.
    pub(crate) fn operations(&self, steps: u32) -> f64 {
        2.0 * f64::from(self.per_step) * f64::from(steps)
    }

    /// Each multiply-add multiplies one by one, so that the sum counts them; lanes stay whole and exact up to 2^24.
    pub(crate) fn check(&self, steps: u32, sum: f64) -> Result<(), Error> {
        let expected = f64::from(self.per_step) * f64::from(steps);
        if sum == expected {
            return Ok(());
        }
        let what = format!("{} on {}", self.name, self.path);
        Err(Error::Answer { what, expected: expected.to_string(), got: sum.to_string() })
    }
}

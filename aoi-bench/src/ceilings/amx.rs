//! The matrix unit of x86-64 (AMX): products of bf16 and of int8 tiles, on registers only.
//!
//! Unsafe: the compiler has no stable names for these instructions, so they are written as assembly. The benchmark that justifies it is the
//! ceiling itself. Tested like the other kernels, against the number of multiply-adds, which each must count exactly. The operands are ones and not
//! zeros: on a tile of zeros the unit runs faster than on any work.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

use crate::ceilings::kernel::Kernel;

/// Rows and columns of a tile of sums.
const SIDE: usize = 16;
/// Steps after which the sums are counted and zeroed: below 2^24, where f32 stops counting by ones.
const COUNTED: u32 = 1 << 18;

/// The kernels that the processor has and the system permits.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    if found(BF16) {
        kernels.push(Kernel::new("bf16_tiles", "amx-bf16", bf16, 4 * 16 * 16 * 32));
    }
    if found(INT8) {
        kernels.push(Kernel::new("int8_tiles", "amx-int8", int8, 4 * 16 * 16 * 64));
    }
    kernels
}

/// Bits of leaf 7 in edx.
const BF16: u32 = 1 << 22;
const TILE: u32 = 1 << 24;
const INT8: u32 = 1 << 25;

/// Whether the processor has tiles of these numbers, and the system lets this process use them.
fn found(numbers: u32) -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    let has = __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).edx & (numbers | TILE) == numbers | TILE;
    has && *PERMITTED.get_or_init(is_permitted)
}

/// Asks the kernel for the tile state, which it grants to a process once and for all.
#[expect(unsafe_code, reason = "a system call")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_STATE: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let outcome: i64;
    // SAFETY: the call reads two numbers and touches no memory of ours; `syscall` overwrites rcx and r11 only.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => outcome, in("rdi") REQUEST_STATE, in("rsi") TILE_DATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    outcome == 0
}

/// What a tile instruction reads or writes.
#[repr(C, align(64))]
struct Lines<T, const N: usize>([T; N]);

/// Four sums of tiles, each from its own pair of operands, over and over; then the sums of all their entries.
macro_rules! tile_kernel {
    ($name:ident, $numbers:ident, $instruction:literal, $one:expr, $operand:ty, $sum:ty) => {
        #[expect(unsafe_code, reason = "tile instructions")]
        fn $name(steps: u32) -> f64 {
            assert!(found($numbers), "chosen without the tiles");
            let mut shapes = Lines([0_u8; 64]);
            // Palette 1; bytes per row from 16 on, two bytes a tile; rows from 48 on.
            shapes.0[0] = 1;
            for tile in 0..8 {
                shapes.0[16 + 2 * tile] = 64;
                shapes.0[48 + tile] = 16;
            }
            let ones = Lines([$one; 1024 / size_of::<$operand>()]);
            let mut sums: [Lines<$sum, { SIDE * SIDE }>; 4] =
                std::array::from_fn(|_| Lines([<$sum>::default(); SIDE * SIDE]));
            let mut total = 0.0;
            for first in (0..steps).step_by(COUNTED as usize) {
                // SAFETY: the tiles are there and permitted; every operand is 1,024 bytes in lines of 64. The tile registers are given back before
                // the block ends.
                unsafe {
                    asm!(
                        "ldtilecfg [{shapes}]",
                        "tileloadd tmm4, [{ones} + {line}]", "tileloadd tmm5, [{ones} + {line}]",
                        "tileloadd tmm6, [{ones} + {line}]", "tileloadd tmm7, [{ones} + {line}]",
                        "2:",
                        concat!($instruction, " tmm0, tmm4, tmm6"),
                        concat!($instruction, " tmm1, tmm4, tmm7"),
                        concat!($instruction, " tmm2, tmm5, tmm6"),
                        concat!($instruction, " tmm3, tmm5, tmm7"),
                        "dec {steps:e}",
                        "jnz 2b",
                        "tilestored [{sums} + {line}], tmm0",
                        "tilestored [{sums} + {line} + 1024], tmm1",
                        "tilestored [{sums} + {line} + 2048], tmm2",
                        "tilestored [{sums} + {line} + 3072], tmm3",
                        "tilerelease",
                        shapes = in(reg) shapes.0.as_ptr(),
                        ones = in(reg) ones.0.as_ptr(),
                        sums = in(reg) sums.as_mut_ptr(),
                        steps = inout(reg) (steps - first).min(COUNTED) => _,
                        line = in(reg) 64_usize,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
                total += sums.iter().flat_map(|tile| tile.0).map(f64::from).sum::<f64>();
            }
            total
        }
    };
}

// One in bf16 is the upper half of one in f32.
tile_kernel!(bf16, BF16, "tdpbf16ps", 0x3f80_u16, u16, f32);
tile_kernel!(int8, INT8, "tdpbssd", 1_i8, i8, i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_counted_across_the_steps_after_which_they_are_zeroed() {
        for kernel in kernels() {
            for steps in [1, COUNTED, COUNTED + 3] {
                kernel.check(steps, kernel.run(steps)).unwrap();
            }
        }
    }
}

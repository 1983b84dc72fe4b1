//! Tile products on the matrix unit of x86-64 (AMX).
//!
//! Needs `unsafe`: the compiler has no stable names for these instructions, so they are written as assembly. On the processor where
//! this was written (family 6, model 167) one core reaches 2.0e12 operations a second in bf16 tiles and 0.15e12 in f32 vectors. Judged entry by
//! entry against the safe path in the tests beside this file.
//!
//! The tile registers belong to a thread between [`configure`] and [`release`]; the compiler never touches them.

use super::Block;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) use linux::{configure, is_available, multiply, release};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) use absent::{configure, is_available, multiply, release};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod linux {
    use std::arch::asm;
    use std::arch::x86_64::__cpuid_count;
    use std::sync::OnceLock;

    use super::super::TILE;
    use super::Block;

    /// Whether the processor has bf16 tiles, and the system lets this process use them.
    pub(crate) fn is_available() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        *FOUND.get_or_init(|| has_tiles() && is_permitted())
    }

    /// What the processor says: leaf 7, `AMX-BF16` and `AMX-TILE`.
    fn has_tiles() -> bool {
        let (bf16, tile) = (1 << 22, 1 << 24);
        __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).edx & (bf16 | tile) == bf16 | tile
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
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => outcome,
                in("rdi") REQUEST_STATE,
                in("rsi") TILE_DATA,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        outcome == 0
    }

    /// Shapes all eight tiles of this thread to 16 rows of 64 bytes, all zero.
    #[expect(unsafe_code, reason = "tile instructions")]
    pub(crate) fn configure() {
        #[repr(C, align(64))]
        struct Shapes([u8; 64]);
        assert!(is_available(), "chosen without the tiles");
        let mut shapes = Shapes([0; 64]);
        // Palette 1; bytes per row from 16 on, two bytes a tile; rows from 48 on.
        shapes.0[0] = 1;
        for tile in 0..8 {
            shapes.0[16 + 2 * tile] = 64;
            shapes.0[48 + tile] = 16;
        }
        // SAFETY: the tiles are there and permitted, and the operand is 64 bytes that it only reads.
        unsafe { asm!("ldtilecfg [{}]", in(reg) shapes.0.as_ptr(), options(nostack, readonly)) }
    }

    /// Gives the tiles back, so that switching threads need not save them.
    #[expect(unsafe_code, reason = "tile instructions")]
    pub(crate) fn release() {
        assert!(is_available(), "chosen without the tiles");
        // SAFETY: the tiles are there and permitted.
        unsafe { asm!("tilerelease", options(nomem, nostack)) }
    }

    /// As [`super::super::Session::multiply`], whose checks it relies on; [`configure`] came before on this thread.
    #[expect(unsafe_code, reason = "tile instructions through raw pointers")]
    pub(crate) fn multiply(block: &Block<'_>, c: &mut [f32], stride: usize) {
        assert!(is_available(), "chosen without the tiles");
        let length = block.steps * block.slices * TILE;
        let second = if block.a.len() > length { length } else { 0 };
        // SAFETY: `Block` holds `length` numbers on each side a tile row or panel, a whole tile a slice and step; the
        // caller checked that there are one or three slices, and that the target holds 32 columns in 16 rows, or 32 where there is a second tile
        // row. Prefetches cannot fault.
        unsafe {
            let (a, b) = (block.a.as_ptr(), block.b);
            let operands = (a, a.add(second), b[0].as_ptr(), b[1].as_ptr(), block.ahead.as_ptr());
            let kernel = match (block.slices, second > 0) {
                (1, true) => tall,
                (1, false) => low,
                (_, true) => tall_slices,
                (_, false) => low_slices,
            };
            kernel(operands, block.steps, c.as_mut_ptr(), stride);
        }
    }

    type Operands = (*const u16, *const u16, *const u16, *const u16, *const u16);

    /// A loop over steps on four sums (two by two tiles) or two (one by two), stored at the end; the lower two sixteen rows further down.
    ///
    /// Registers: sums in tmm0 to tmm3, rows in tmm4 and tmm5, columns in tmm6 and tmm7. Loads of tiles are not fetched ahead by the processor
    /// itself: asking for the tiles of the next step made products from the second-level cache 1.6 times as fast.
    macro_rules! tile_loop {
        ($name:ident, $slices:literal, [$($body:literal),* $(,)?], [$($store:literal),* $(,)?]) => {
            /// # Safety
            /// The tiles are configured; every operand holds `steps` steps, and the target its rows of 32 columns.
            #[expect(unsafe_code, reason = "tile instructions through raw pointers")]
            unsafe fn $name((a0, a1, b0, b1, ahead): Operands, steps: usize, c: *mut f32, stride: usize) {
                // SAFETY: the caller's promise; pointers advance by the bytes of a step and are not read past the last one.
                unsafe {
                    asm!(
                        "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                        // One tile of the next step.
                        ".macro fetch_tile at, offset=1024",
                        ".irp line, 0,64,128,192,256,320,384,448,512,576,640,704,768,832,896,960",
                        "prefetcht0 [\\at + \\offset + \\line]",
                        ".endr",
                        ".endm",
                        // Half a tile of columns that come after these.
                        ".macro fetch_ahead at, offset=0",
                        ".irp line, 0,64,128,192,256,320,384,448",
                        "prefetcht1 [\\at + \\offset + \\line]",
                        ".endr",
                        ".endm",
                        "2:",
                        $($body,)*
                        "add {a0}, {step}", "add {a1}, {step}", "add {b0}, {step}", "add {b1}, {step}",
                        "add {ahead}, {step} / 2",
                        "dec {steps}",
                        "jnz 2b",
                        $($store,)*
                        ".purgem fetch_tile",
                        ".purgem fetch_ahead",
                        step = const 1024 * $slices,
                        a0 = inout(reg) a0 => _, a1 = inout(reg) a1 => _,
                        b0 = inout(reg) b0 => _, b1 = inout(reg) b1 => _,
                        ahead = inout(reg) ahead => _,
                        steps = inout(reg) steps => _,
                        line = in(reg) 64_usize,
                        c = inout(reg) c => _,
                        stride = in(reg) 4 * stride,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }
        };
    }

    tile_loop!(
        tall,
        1,
        [
            "tileloadd tmm4, [{a0} + {line}]",
            "tileloadd tmm6, [{b0} + {line}]",
            "fetch_tile {a0}",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b0}",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "fetch_tile {b1}",
            "tileloadd tmm5, [{a1} + {line}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "fetch_tile {a1}",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "fetch_ahead {ahead}",
        ],
        [
            "tilestored [{c} + {stride}], tmm0",
            "tilestored [{c} + {stride} + 64], tmm1",
            "mov {a0}, {stride}",
            "shl {a0}, 4",
            "add {c}, {a0}",
            "tilestored [{c} + {stride}], tmm2",
            "tilestored [{c} + {stride} + 64], tmm3",
        ]
    );

    tile_loop!(
        low,
        1,
        [
            "tileloadd tmm4, [{a0} + {line}]",
            "tileloadd tmm6, [{b0} + {line}]",
            "fetch_tile {a0}",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b0}",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "fetch_tile {b1}",
            "fetch_ahead {ahead}",
        ],
        ["tilestored [{c} + {stride}], tmm0", "tilestored [{c} + {stride} + 64], tmm1"]
    );

    // Products of slices as `super::super::products` lists them.
    tile_loop!(
        tall_slices,
        3,
        [
            "tileloadd tmm4, [{a0} + {line}]",
            "tileloadd tmm6, [{b0} + {line} + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {a0}, 3072",
            "tileloadd tmm7, [{b1} + {line} + 2048]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a1} + {line}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "fetch_tile {b0}, 3072",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{b0} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b1}, 3072",
            "tileloadd tmm7, [{b1} + {line} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "fetch_tile {a1}, 3072",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm4, [{a0} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {a0}, 4096",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a1} + {line} + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "fetch_tile {b0}, 4096",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{b0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b1}, 4096",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "fetch_tile {a1}, 4096",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm4, [{a0} + {line} + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {a0}, 5120",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a1} + {line} + 2048]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "fetch_tile {b0}, 5120",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm4, [{a0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b1}, 5120",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a1} + {line}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "fetch_tile {a1}, 5120",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "fetch_ahead {ahead}",
            "fetch_ahead {ahead}, 512",
            "fetch_ahead {ahead}, 1024",
        ],
        [
            "tilestored [{c} + {stride}], tmm0",
            "tilestored [{c} + {stride} + 64], tmm1",
            "mov {a0}, {stride}",
            "shl {a0}, 4",
            "add {c}, {a0}",
            "tilestored [{c} + {stride}], tmm2",
            "tilestored [{c} + {stride} + 64], tmm3",
        ]
    );

    tile_loop!(
        low_slices,
        3,
        [
            "tileloadd tmm4, [{a0} + {line}]",
            "tileloadd tmm6, [{b0} + {line} + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {a0}, 3072",
            "tileloadd tmm7, [{b1} + {line} + 2048]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "fetch_tile {b0}, 3072",
            "tileloadd tmm6, [{b0} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b1}, 3072",
            "tileloadd tmm7, [{b1} + {line} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm4, [{a0} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {a0}, 4096",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "fetch_tile {b0}, 4096",
            "tileloadd tmm6, [{b0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b1}, 4096",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm4, [{a0} + {line} + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {a0}, 5120",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "fetch_tile {b0}, 5120",
            "tileloadd tmm4, [{a0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "fetch_tile {b1}, 5120",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "fetch_ahead {ahead}",
            "fetch_ahead {ahead}, 512",
            "fetch_ahead {ahead}, 1024",
        ],
        ["tilestored [{c} + {stride}], tmm0", "tilestored [{c} + {stride} + 64], tmm1"]
    );
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod absent {
    use super::Block;

    pub(crate) fn is_available() -> bool {
        false
    }

    pub(crate) fn configure() {
        unreachable!("no tiles here");
    }

    pub(crate) fn release() {
        unreachable!("no tiles here");
    }

    pub(crate) fn multiply(_: &Block<'_>, _: &mut [f32], _: usize) {
        unreachable!("no tiles here");
    }
}

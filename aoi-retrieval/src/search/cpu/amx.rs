//! Products of 8-bit codes on the matrix unit of x86-64 (AMX).
//!
//! Needs `unsafe`: the compiler has no stable names for these instructions, so they are written as assembly. On the processor where this
//! was written (family 6, model 167) one core multiplies 4.8e12 codes a second in tiles and 0.65e12 in vectors, counting sums, and the scan of a
//! bank is little else. Judged against the portable form, to the last bit, in `isa_tests.rs`.
//!
//! The tile registers belong to a thread while a [`Session`] lives on it; the compiler never touches them.

use std::marker::PhantomData;

use super::tile::{Aligned, GROUP, LANES, QueryLine, TailLine};

/// Bytes of a tile's row: that many codes of a query meet a tile of a panel.
pub(super) const DEPTH: usize = 64;

/// Sums of two groups' queries with the rows of two panels: group 0 with panels 0 and 1, then group 1.
pub(super) type Sums = Aligned<[[[i32; LANES]; GROUP]; 4]>;

/// The right to use the tiles of this thread. Without the matrix unit it grants nothing.
#[derive(Debug)]
pub(crate) struct Session {
    tiles: bool,
    /// Of the last product; kept, because clearing them for every tile took a fifteenth of the time of its product.
    sums: Box<Sums>,
    /// Tiles are registers of the thread that shaped them.
    _not_send: PhantomData<*const ()>,
}

impl Session {
    /// Shapes the tiles of this thread, if `wanted` and there are any.
    pub(crate) fn start(wanted: bool) -> Self {
        let tiles = wanted && is_available();
        if tiles {
            machine::configure();
        }
        Self { tiles, sums: Box::new(Aligned([[[0; LANES]; GROUP]; 4])), _not_send: PhantomData }
    }

    /// Sums of the products of whole blocks of 64 codes. Two groups at a time: each tile that is loaded then serves two products, and four
    /// chains of sums hide the latency of a product.
    ///
    /// # Shapes
    /// `queries` `[blocks, 14]` each, panels at least `[blocks, 16]` lines each.
    #[inline]
    pub(super) fn multiply(&mut self, queries: [&[QueryLine]; 2], panels: [&[TailLine]; 2]) -> &Sums {
        let blocks = queries[0].len() / GROUP;
        assert!(self.tiles && blocks > 0, "a session with tiles, and work for them");
        assert!(queries[1].len() >= blocks * GROUP, "a group is smaller than the other");
        assert!(panels.iter().all(|p| p.len() >= blocks * LANES), "a panel is shorter than the queries");
        machine::multiply(blocks, queries, panels, &mut self.sums);
        &self.sums
    }

    /// Whether products can be asked for.
    pub(super) fn has_tiles(&self) -> bool {
        self.tiles
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.tiles {
            machine::release();
        }
    }
}

pub(super) use machine::is_available;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod machine {
    use std::arch::asm;
    use std::arch::x86_64::__cpuid_count;
    use std::sync::OnceLock;

    use super::{DEPTH, GROUP, LANES, QueryLine, Sums, TailLine};

    /// Whether the processor has int8 tiles and the system lets this process use them.
    pub(in super::super) fn is_available() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        *FOUND.get_or_init(|| has_tiles() && is_permitted())
    }

    /// What the processor says: leaf 7, `AMX-TILE` and `AMX-INT8`.
    fn has_tiles() -> bool {
        let (tile, int8) = (1 << 24, 1 << 25);
        __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).edx & (tile | int8) == tile | int8
    }

    /// Asks the kernel for the tile state, which it grants to a process once and for all.
    #[expect(unsafe_code, reason = "a system call")]
    fn is_permitted() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const REQUEST_STATE: i64 = 0x1023;
        const TILE_DATA: i64 = 18;
        let outcome: i64;
        // SAFETY: the call takes two numbers and touches no memory of ours; `syscall` overwrites rcx and r11 only.
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

    /// Shapes sums and query tiles to 14 rows, panel tiles to 16, all of 64 bytes.
    #[expect(unsafe_code, reason = "tile instructions")]
    pub(super) fn configure() {
        #[repr(C, align(64))]
        struct Shapes([u8; 64]);
        let mut shapes = Shapes([0; 64]);
        // Palette 1; bytes per row from 16 on, two bytes a tile; rows from 48 on. Tiles 6 and 7 hold panels.
        shapes.0[0] = 1;
        for tile in 0..8 {
            shapes.0[16 + 2 * tile] = 64;
            shapes.0[48 + tile] = if tile >= 6 { 16 } else { 14 };
        }
        // SAFETY: `Session::start` found the tiles there and permitted; the operand is 64 bytes that are only read.
        unsafe { asm!("ldtilecfg [{}]", in(reg) shapes.0.as_ptr(), options(nostack, readonly)) }
    }

    /// Gives the tiles back, so that switching threads need not save them.
    #[expect(unsafe_code, reason = "tile instructions")]
    pub(super) fn release() {
        // SAFETY: only a session with tiles ends here.
        unsafe { asm!("tilerelease", options(nomem, nostack)) }
    }

    /// As [`super::Session::multiply`], which checked the lengths.
    #[inline]
    #[expect(unsafe_code, reason = "tile instructions through raw pointers")]
    pub(super) fn multiply(
        blocks: usize,
        queries: [&[QueryLine]; 2],
        panels: [&[TailLine]; 2],
        sums: &mut Sums,
    ) {
        const { assert!(GROUP * LANES * 4 == 896 && GROUP * DEPTH == 896 && DEPTH * LANES == 1024) };
        // SAFETY: a session shaped the tiles of this thread. Block i < blocks reads 896 bytes of the queries of each group and 1,024 of each
        // panel, which the caller checked to be there; four tiles of 896 bytes are written, the size of `sums`.
        unsafe {
            asm!(
                "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                "2:",
                "tileloadd tmm6, [{a} + {line}]",
                "tileloadd tmm4, [{q} + {line}]",
                "tdpbsud tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{r} + {line}]",
                "tdpbsud tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{b} + {line}]",
                "tdpbsud tmm1, tmm4, tmm7",
                "tdpbsud tmm3, tmm5, tmm7",
                "add {q}, 896", "add {r}, 896", "add {a}, 1024", "add {b}, 1024",
                "dec {blocks}",
                "jnz 2b",
                "tilestored [{sums} + {line}], tmm0",
                "tilestored [{sums} + {line} + 896], tmm1",
                "tilestored [{sums} + {line} + 1792], tmm2",
                "tilestored [{sums} + {line} + 2688], tmm3",
                q = inout(reg) queries[0].as_ptr() => _,
                r = inout(reg) queries[1].as_ptr() => _,
                a = inout(reg) panels[0].as_ptr() => _,
                b = inout(reg) panels[1].as_ptr() => _,
                blocks = inout(reg) blocks => _,
                line = in(reg) 64_usize,
                sums = in(reg) sums.0.as_mut_ptr(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod machine {
    use super::{QueryLine, Sums, TailLine};

    pub(in super::super) fn is_available() -> bool {
        false
    }

    pub(super) fn configure() {}

    pub(super) fn release() {}

    pub(super) fn multiply(_: usize, _: [&[QueryLine]; 2], _: [&[TailLine]; 2], _: &mut Sums) {
        unreachable!("no session has tiles here");
    }
}

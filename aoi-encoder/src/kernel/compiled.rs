//! Code written once in plain Rust and compiled for each instruction set.
//!
//! The only `unsafe` here calls a function compiled for instructions that were found at run time.

#![expect(
    clippy::inline_always,
    reason = "a body must be inlined into the function that has the instructions enabled"
)]

use super::Instructions;

/// `a * b + c`, rounded once where the instruction set has it.
#[inline(always)]
pub(super) fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Runs `work`, inlined, with AVX2 and fused multiply-add enabled.
///
/// # Panics
/// Never where [`Instructions::Avx2`] is available; elsewhere, in debug builds.
#[inline(always)]
#[expect(unsafe_code, reason = "calls a function compiled for AVX2")]
pub(super) fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn inner<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        debug_assert!(Instructions::Avx2.is_available());
        // SAFETY: chosen only where `Instructions::is_available` said so.
        unsafe { inner(work) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    work()
}

/// Runs `work`, inlined, with AVX-512F enabled.
#[inline(always)]
#[expect(unsafe_code, reason = "calls a function compiled for AVX-512")]
pub(super) fn with_avx512<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn inner<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        debug_assert!(Instructions::Avx512.is_available());
        // SAFETY: chosen only where `Instructions::is_available` said so.
        unsafe { inner(work) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    work()
}

/// Runs `work`, inlined, compiled for `instructions`.
#[inline(always)]
pub(crate) fn with<R>(instructions: Instructions, work: impl FnOnce() -> R) -> R {
    match instructions {
        Instructions::Portable => work(),
        Instructions::Avx2 => with_avx2(work),
        Instructions::Avx512 | Instructions::Avx512Bf16 | Instructions::Amx => with_avx512(work),
    }
}

/// Calls `$body::<FUSED>(arguments)` compiled for `$instructions`.
macro_rules! dispatch {
    ($instructions:expr, $body:ident($($argument:expr),*)) => {
        match $instructions {
            Instructions::Portable => $body::<false>($($argument),*),
            Instructions::Avx2 => with_avx2(#[inline(always)] || $body::<true>($($argument),*)),
            Instructions::Avx512 | Instructions::Avx512Bf16 | Instructions::Amx => with_avx512(#[inline(always)] || $body::<true>($($argument),*)),
        }
    };
}

pub(super) use dispatch;

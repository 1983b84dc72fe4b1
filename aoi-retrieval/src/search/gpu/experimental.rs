//! The one `unsafe` of the GPU search: the word that experimental features of wgpu may be used, without which cooperative matrices
//! cannot be reached. It unlocks code of wgpu and of drivers that may be faulty, nothing of ours.
//!
//! The gain is the f16 products of a GPU's matrix units, several times its f32 rate; the safe path is the f16 scan without
//! them, against which [`check`](super::check) holds the kernel before it is used.

/// The word.
#[expect(unsafe_code, reason = "cooperative matrices are reachable no other way")]
pub(super) fn allow() -> wgpu::ExperimentalFeatures {
    // SAFETY: there is no condition to keep but the caller's consent to faults of wgpu and the driver, which
    // `Gpu::open_experimental` asks for by its name and its documentation.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

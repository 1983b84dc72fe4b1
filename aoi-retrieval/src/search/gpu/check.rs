//! Whether a kernel that drivers are known to get wrong computes a small product rightly on this device.

use super::device::Gpu;
use super::kernels::{Kernel, Parameters};
use crate::RetrievalError;

/// Rows, and queries.
const SIDE: u32 = 128;
/// Numbers per row.
const WIDTH: u32 = 48;

/// A small integer for every place, without a pattern that a transposed or shifted tile would keep.
fn number(i: u32, c: u32) -> u16 {
    u16::try_from((i * 7 + c * 13 + i * c * 5) % 11).unwrap_or(0)
}

/// Runs an f16 scan of 128 rows, 128 queries and 48 numbers, all small integers, so that every correct sum is the same one.
///
/// # Errors
/// When the device fails at it.
pub(super) fn computes_rightly(gpu: &Gpu, scan: &Kernel) -> Result<bool, RetrievalError> {
    use wgpu::BufferUsages as Usage;
    let parameters = Parameters {
        queries: SIDE,
        rows: SIDE,
        bins: SIDE / 16,
        panels: 1,
        width: WIDTH,
        words: WIDTH,
        across: 1,
        ..Parameters::default()
    };
    // Queries are the rows with their numbers in another order; panels are interleaved along the width.
    let panel = |shift: u32| -> Vec<half::f16> {
        let places = (0..WIDTH).flat_map(|c| (0..SIDE).map(move |i| (i, c)));
        places.map(|(i, c)| half::f16::from_f32(f32::from(number(i, (c + shift) % WIDTH)) - 5.0)).collect()
    };
    let (rows, queries) = (panel(0), panel(5));
    let ones = vec![1.0_f32; SIDE as usize];
    let zeros = vec![0.0_f32; SIDE as usize];
    let bytes = |x: &[half::f16]| -> Vec<u8> { x.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let count = u64::from(SIDE * SIDE / 16) * 4;
    let back = gpu.guarded(|| {
        let make = |bytes: &[u8], usage| {
            let buffer = gpu.buffer("check", bytes.len() as u64, usage | Usage::COPY_DST);
            gpu.queue().write_buffer(&buffer, 0, bytes);
            buffer
        };
        let best = gpu.buffer("check", count, Usage::STORAGE | Usage::COPY_SRC);
        let given = [
            make(bytemuck::bytes_of(&parameters), Usage::UNIFORM),
            make(&bytes(&rows), Usage::STORAGE),
            make(&bytes(&queries), Usage::STORAGE),
            make(bytemuck::cast_slice(&zeros), Usage::STORAGE),
            best.clone(),
            make(bytemuck::cast_slice(&ones), Usage::STORAGE),
            make(bytemuck::cast_slice(&ones), Usage::STORAGE),
        ];
        let resources: Vec<_> = given.iter().map(wgpu::Buffer::as_entire_binding).collect();
        let group = scan.bind(gpu.device(), &resources);
        let back = gpu.buffer("check", count, Usage::MAP_READ | Usage::COPY_DST);
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        scan.dispatch(
            &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()),
            &group,
            [1; 3],
        );
        encoder.copy_buffer_to_buffer(&best, 0, &back, 0, count);
        gpu.queue().submit([encoder.finish()]);
        back
    })?;
    let found: Vec<f32> = bytemuck::pod_collect_to_vec(&gpu.read(&back, count)?);
    let at = |panel: &[half::f16], i: usize, c: usize| f32::from(panel[c * SIDE as usize + i]);
    let best = |query: usize, bin: usize| {
        let scores = (bin * 16..bin * 16 + 16)
            .map(|row| (0..WIDTH as usize).map(|c| at(&rows, row, c) * at(&queries, query, c)).sum::<f32>());
        scores.fold(f32::NEG_INFINITY, f32::max)
    };
    let bins = SIDE as usize / 16;
    Ok(found.iter().enumerate().all(|(i, &x)| x == best(i / bins, i % bins)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::gpu::plan::Form;
    use crate::search::gpu::tests::device;

    #[test]
    #[ignore = "needs a GPU, or a program that plays one"]
    fn the_plain_f16_scan_passes_and_a_wrong_kernel_does_not() {
        let kernels = device().kernels().unwrap();
        if let Some(plain) = kernels.stages(Form::F16) {
            assert!(computes_rightly(device(), plain.scan).unwrap());
        } else {
            aoi_testing::skipped("f16", &format!("{} does not know f16", device().info()));
        }
        // The same bindings, read as something else.
        let wrong = kernels.stages(Form::Int8).unwrap().scan;
        assert!(!computes_rightly(device(), wrong).unwrap());
    }
}

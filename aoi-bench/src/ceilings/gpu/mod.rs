//! The ceilings of a GPU, through the interface that the search uses: a rate that wgpu cannot reach is no ceiling of ours.
//!
//! An arithmetic kernel repeats one instruction on registers, with operands that only the device sees, so that nothing can be folded; what
//! comes out is known exactly and compared. Every thread of a few times as many workgroups as fill a large device runs it.

use std::time::Duration;

use aoi_retrieval::gpu::{Gpu, wgpu};

use super::{Ceiling, Effort};
use crate::error::Error;
use crate::record::median;

/// Workgroups of an arithmetic kernel, and threads of each.
const GROUPS: u32 = 2048;
const THREADS: u32 = 256;
/// Repetitions of the instruction in the source of a kernel; the loop around them is then no part of the time.
const UNROLLED: u32 = 16;
/// Largest buffer that is copied, so that small devices have room for two.
const LARGEST_COPY: u64 = 1 << 30;

/// An instruction, repeated.
struct Instruction {
    name: &'static str,
    path: &'static str,
    needs: wgpu::Features,
    source: &'static str,
    /// Multiplications and additions of one thread in one repetition.
    operations: f64,
    /// Most repetitions whose sums are exact.
    most: u32,
    /// The word that every thread writes after so many repetitions.
    expected: fn(u32) -> u32,
}

const INSTRUCTIONS: [Instruction; 4] = [
    Instruction {
        name: "f32_fma",
        path: "wgsl",
        needs: wgpu::Features::empty(),
        source: include_str!("f32_fma.wgsl"),
        operations: 2.0 * 16.0,
        most: 1 << 17,
        expected: counted,
    },
    Instruction {
        name: "f16_fma",
        path: "wgsl",
        needs: wgpu::Features::SHADER_F16,
        source: include_str!("f16_fma.wgsl"),
        operations: 2.0 * 16.0,
        // f16 counts to 2048.
        most: 2000,
        expected: counted,
    },
    Instruction {
        name: "int8_dot",
        path: "wgsl dot4I8Packed",
        needs: wgpu::Features::empty(),
        source: include_str!("int8_dot.wgsl"),
        operations: 2.0 * 4.0 * 16.0,
        most: 1 << 17,
        expected: byte_sums,
    },
    Instruction {
        name: "f16_matrix",
        path: "wgsl cooperative",
        needs: wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16),
        source: include_str!("f16_matrix.wgsl"),
        // Four products of 16 x 16 x 16, shared by 32 threads.
        operations: 4.0 * 2.0 * 4096.0 / 32.0,
        most: 1 << 17,
        expected: |steps| (64.0 * steps as f32 + 6.0).to_bits(),
    },
];

/// Sixteen numbers that start at 0 to 15 and count.
fn counted(steps: u32) -> u32 {
    (16.0 * steps as f32 + 120.0).to_bits()
}

/// Sixteen integers that start at 0 to 15 and are increased by the sum of their own signed bytes.
fn byte_sums(steps: u32) -> u32 {
    let grown = |start: i32| {
        (0..steps).fold(start, |x, _| {
            x.to_le_bytes().iter().fold(x, |x, b| x.wrapping_add(i32::from(b.cast_signed())))
        })
    };
    (0..16).map(grown).fold(0_i32, i32::wrapping_add).cast_unsigned()
}

/// Measures every ceiling that `gpu` has; cooperative matrices where it was opened for them.
///
/// # Errors
/// When the device has no clock, fails, or a result is wrong.
pub fn measure(gpu: &Gpu, effort: Effort) -> Result<Vec<Ceiling>, Error> {
    if !gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        let expected = "timestamps, without which kernels cannot be timed".to_owned();
        return Err(Error::Answer { what: gpu.info().to_string(), expected, got: "none".to_owned() });
    }
    let mut ceilings = Vec::new();
    for instruction in &INSTRUCTIONS {
        if gpu.device().features().contains(instruction.needs) {
            ceilings.push(arithmetic(gpu, instruction, effort)?);
        }
    }
    ceilings.push(copy(gpu, effort)?);
    Ok(ceilings)
}

fn arithmetic(gpu: &Gpu, of: &Instruction, effort: Effort) -> Result<Ceiling, Error> {
    use wgpu::BufferUsages as Usage;
    let rounds = (effort.steps.min(of.most) / UNROLLED).max(1);
    let body = of.source.lines().find_map(|l| l.trim().strip_prefix("//repeat ")).unwrap_or_default();
    let text =
        of.source.replace("//repeat", &format!("{}\n//", format!("{body}\n").repeat(UNROLLED as usize)));
    let parameters = buffer(gpu, 16, Usage::UNIFORM | Usage::COPY_DST);
    let words = [rounds.to_le_bytes(), 1.0_f32.to_le_bytes(), 0x0101_0101_u32.to_le_bytes(), [0; 4]].concat();
    gpu.queue().write_buffer(&parameters, 0, &words);
    let out = buffer(gpu, u64::from(GROUPS * THREADS) * 4, Usage::STORAGE | Usage::COPY_SRC);
    let kernel = Kernel::new(gpu, &text, &[&parameters, &out]);
    let operations = of.operations * f64::from(GROUPS * THREADS) * f64::from(rounds * UNROLLED);
    let mut rates = Vec::new();
    for _ in 0..effort.repetitions.max(1) {
        rates.push(operations / kernel.run(gpu, GROUPS)?.as_secs_f64() / 1e9);
    }
    let expected = (of.expected)(rounds * UNROLLED);
    for bytes in read(gpu, &out, out.size())?.chunks_exact(4) {
        let got = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if got != expected {
            let what = format!("{} on {}", of.name, gpu.info());
            let (expected, got) = (format!("{expected:#x}"), format!("{got:#x}"));
            return Err(Error::Answer { what, expected, got });
        }
    }
    Ok(ceiling(of.name, of.path, "Gop/s", &rates))
}

/// Copying one buffer into another; bytes read and written count.
fn copy(gpu: &Gpu, effort: Effort) -> Result<Ceiling, Error> {
    use wgpu::BufferUsages as Usage;
    let limits = gpu.device().limits();
    let largest = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(LARGEST_COPY);
    let words = u32::try_from((effort.bytes as u64).min(largest) / 4096 * 1024).unwrap_or(1024);
    let bytes = 4 * u64::from(words);
    let from = buffer(gpu, bytes, Usage::STORAGE | Usage::COPY_DST);
    let to = buffer(gpu, bytes, Usage::STORAGE | Usage::COPY_SRC);
    let content: Vec<u8> = (0..words).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    gpu.queue().write_buffer(&from, 0, &content);
    let kernel = Kernel::new(gpu, include_str!("copy.wgsl"), &[&from, &to]);
    let mut rates = Vec::new();
    for _ in 0..effort.repetitions.max(1) {
        rates.push(2.0 * bytes as f64 / kernel.run(gpu, GROUPS)?.as_secs_f64() / 1e9);
    }
    if read(gpu, &to, bytes)? != content {
        let what = format!("a copy on {}", gpu.info());
        return Err(Error::Answer { what, expected: "what was copied".to_owned(), got: "else".to_owned() });
    }
    Ok(ceiling("copy_memory", "wgsl", "GB/s", &rates))
}

fn ceiling(name: &str, path: &str, unit: &str, rates: &[f64]) -> Ceiling {
    Ceiling {
        name: name.to_owned(),
        path: path.to_owned(),
        threads: 0,
        unit: unit.to_owned(),
        best: rates.iter().copied().fold(0.0, f64::max),
        median: median(rates),
    }
}

fn buffer(gpu: &Gpu, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let label = Some("ceilings");
    gpu.device().create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
}

/// A kernel with its buffers, and two marks in time.
struct Kernel {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    marks: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

impl Kernel {
    fn new(gpu: &Gpu, source: &str, buffers: &[&wgpu::Buffer]) -> Self {
        let device = gpu.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("ceilings"),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("ceilings"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, b)| wgpu::BindGroupEntry { binding, resource: b.as_entire_binding() })
            .collect();
        let layout = &pipeline.get_bind_group_layout(0);
        let group =
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries });
        let marks = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: None,
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        Self { pipeline, group, marks, resolved: buffer(gpu, 16, usage) }
    }

    /// One run, by the device's clock.
    fn run(&self, gpu: &Gpu, groups: u32) -> Result<Duration, Error> {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &self.marks,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.group, &[]);
            pass.dispatch_workgroups(groups, 1, 1);
        }
        encoder.resolve_query_set(&self.marks, 0..2, &self.resolved, 0);
        gpu.queue().submit([encoder.finish()]);
        let bytes = read(gpu, &self.resolved, 16)?;
        let mark = |at: usize| bytes[at..at + 8].iter().rev().fold(0_u64, |sum, b| sum << 8 | u64::from(*b));
        let ticks = mark(8).saturating_sub(mark(0)).max(1);
        Ok(Duration::from_secs_f64(ticks as f64 * f64::from(gpu.queue().get_timestamp_period()) * 1e-9))
    }
}

/// The first `bytes` of a buffer.
fn read(gpu: &Gpu, from: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, Error> {
    let failed =
        |reason: String| aoi_retrieval::RetrievalError::Device { device: gpu.info().to_string(), reason };
    let back = buffer(gpu, bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(from, 0, &back, 0, bytes);
    gpu.queue().submit([encoder.finish()]);
    back.map_async(wgpu::MapMode::Read, .., |_| {});
    let forever = wgpu::PollType::Wait { submission_index: None, timeout: None };
    gpu.device().poll(forever).map_err(|e| failed(e.to_string()))?;
    let view = back.get_mapped_range(..).map_err(|e| failed(e.to_string()))?;
    Ok(view.to_vec())
}

#[cfg(test)]
mod tests {
    use aoi_retrieval::gpu::DeviceChoice;

    use super::*;

    #[test]
    #[ignore = "needs a GPU, or a program that plays one"]
    fn every_ceiling_of_a_gpu_is_a_positive_number_and_its_sums_are_right() {
        let gpu = Gpu::open(DeviceChoice::Any).unwrap();
        let ceilings = measure(&gpu, Effort::QUICK).unwrap();
        assert!(ceilings.len() >= 3, "{ceilings:?}");
        assert!(ceilings.iter().all(|c| c.best.is_finite() && c.best > 0.0), "{ceilings:?}");
        // One step too few is seen.
        let wrong = Instruction { expected: |steps| counted(steps - 1), ..INSTRUCTIONS[0] };
        arithmetic(&gpu, &wrong, Effort::QUICK).unwrap_err();
    }
}

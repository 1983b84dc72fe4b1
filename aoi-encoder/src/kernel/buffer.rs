//! Buffers that start on a cache line, row strides that spread rows over the cache, and fetching ahead.

use std::ops::{Deref, DerefMut};

/// Floats in a cache line.
const LINE: usize = 16;

/// A reusable array of numbers whose first entry lies on a 64-byte line.
#[derive(Debug, Default)]
pub(crate) struct Buffer<T = f32> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Buffer<T> {
    /// A buffer of `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::default();
        buffer.resize(len);
        buffer
    }

    /// Makes it `len` long. Memory is taken only when it never was that long; what it held is then zeroed, else kept.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.start + len > self.data.len() || self.data.is_empty() {
            let slack = 64 / size_of::<T>();
            self.data = vec![T::default(); len + slack];
            // An offset beyond the slack would only cost speed.
            self.start = self.data.as_ptr().align_offset(64).min(slack);
        }
        self.len = len;
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.data[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..self.start + self.len]
    }
}

/// Distance between rows of `n` numbers: whole panels of 32, and an odd number of cache lines, so that the rows of a tile do not
/// fall into one cache set.
pub(crate) fn stride(n: usize) -> usize {
    n.next_multiple_of(2 * LINE) + LINE
}

/// Asks for the cache lines of numbers that will be read soon: rows of a matrix lie further apart than the processor looks ahead.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a hint to the processor, compiled into its caller")]
pub(crate) fn fetch<T>(soon: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in soon.chunks(64 / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "a hint through a pointer")]
        // SAFETY: a prefetch reads nothing that the program could see, and every x86-64 has it.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = soon;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_on_a_line_and_keeps_its_memory() {
        let mut buffer = Buffer::<f32>::zeros(100);
        assert_eq!(buffer.as_ptr().align_offset(64), 0);
        buffer[99] = 1.0;
        let place = buffer.as_ptr();
        buffer.resize(10);
        buffer.resize(100);
        assert_eq!((buffer.as_ptr(), buffer[99]), (place, 1.0));
        buffer.resize(1000);
        assert_eq!(buffer.len(), 1000);
        assert!(buffer.iter().all(|&v| v == 0.0));
    }

    #[test]
    fn strides_hold_whole_panels_and_an_odd_number_of_lines() {
        for n in [1, 32, 33, 384, 3072, 4096] {
            assert!(stride(n) >= n.next_multiple_of(32));
            assert_eq!(stride(n) / 16 % 2, 1);
        }
    }
}

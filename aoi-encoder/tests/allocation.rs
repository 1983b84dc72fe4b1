//! A forward pass of a size seen before takes no memory. Alone in its file: it counts what the whole process asks for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aoi_encoder::ndarray::Array4;
use aoi_encoder::{Config, Encoder, EncoderOptions, Features, Params, Precision, Table, Workspace};

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
#[expect(unsafe_code, reason = "an allocator is an unsafe trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn the_second_pass_takes_no_memory() {
    let config = Config {
        width: 64,
        depth: 3,
        heads: 2,
        hidden: 96,
        registers: 1,
        layer_scale: true,
        ..Config::paper()
    };
    let params = Params::<f32>::zeros(Arc::new(Table::new(&config).unwrap()));
    let (images, smaller) = (Array4::zeros((2, 2, 96, 64)), Array4::zeros((1, 2, 96, 64)));
    let settings = [1, 2, 3].into_iter().flat_map(|t| [(t, Precision::F32), (t, Precision::Bf16)]);
    for ((threads, precision), blocks) in settings.flat_map(|s| [(s, &[1][..]), (s, &[])]) {
        let options = EncoderOptions { precision, ..EncoderOptions::default() };
        let encoder = Encoder::with_options(&config, &params, &options).unwrap();
        let (mut workspace, mut features) = (Workspace::new(threads).unwrap(), Features::default());
        let mut taken = |images: &Array4<f32>| {
            let before = TAKEN.load(Ordering::Relaxed);
            encoder.forward_into(images, blocks, &mut workspace, &mut features).unwrap();
            TAKEN.load(Ordering::Relaxed) - before
        };
        assert!(taken(&images) > 0, "the first pass takes memory, or nothing is counted");
        taken(&images);
        // The table's check of the configuration and rayon's own queues may not take any either.
        assert_eq!(taken(&images), 0, "{threads} threads, {precision:?}, blocks {blocks:?}");
        assert!(taken(&smaller) > 0, "other shapes of the outputs take memory");
    }
}

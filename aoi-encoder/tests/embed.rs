//! Folders and arrays to embeddings, as the command does it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aoi_encoder::ndarray::{Array3, Axis, s};
use aoi_encoder::weights::{LoadOptions, load};
use aoi_encoder::{EmbedOptions, Encoder, Error, Tiling, Workspace, embed, embed_folder, images};
use image::{ImageBuffer, Luma};
use safetensors::SafeTensors;
use tempfile::TempDir;

fn weights(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(case).join("weights.safetensors")
}

fn go(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// `count` pictures of two lightings each, no two alike.
fn folder(count: u32, width: u32, height: u32) -> TempDir {
    let folder = TempDir::new().unwrap();
    for picture in 0..count {
        for lighting in 0..2 {
            let pixel =
                |x, y| Luma([u8::try_from((x * 7 + y * 13 + picture * 50 + lighting * 90) % 256).unwrap()]);
            let image = ImageBuffer::from_fn(width, height, pixel);
            image.save(folder.path().join(format!("p{picture}_buffer{lighting}.png"))).unwrap();
        }
    }
    folder
}

fn encoder() -> Encoder {
    let weights = load(&weights("timm_registers"), &LoadOptions::default()).unwrap();
    Encoder::new(&weights.config, &weights.params).unwrap()
}

fn npy(path: &Path, shape: &[usize], values: &[f32]) {
    let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}\n", shape.join(", "));
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(path, [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), &data].concat()).unwrap();
}

#[test]
fn an_array_is_embedded_as_it_is_and_written_with_all_tensors() {
    let folder = TempDir::new().unwrap();
    let (input, out) = (folder.path().join("x.npy"), folder.path().join("out.safetensors"));
    let expected = std::fs::read(weights("timm_registers").with_file_name("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let numbers = |file: &SafeTensors<'_>, name: &str| -> Vec<f32> {
        let view = file.tensor(name).unwrap();
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    npy(&input, &[2, 2, 12, 12], &numbers(&expected, "images"));
    let options = EmbedOptions { blocks: vec![1, 0], batch: 1, ..EmbedOptions::default() };
    let mut seen = Vec::new();
    let mut progress = |done, total| {
        seen.push((done, total));
        ControlFlow::Continue(())
    };
    let load_options = LoadOptions::default();
    embed(&weights("timm_registers"), &load_options, &input, &out, &options, &mut progress).unwrap();
    assert_eq!(seen, [(0, 2), (1, 2), (2, 2)]);
    let written = std::fs::read(&out).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&written).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["grid"], "[3,3]");
    let written = SafeTensors::deserialize(&written).unwrap();
    assert_eq!(written.len(), 5);
    for name in ["cls", "patches", "registers", "block_0", "block_1"] {
        assert_eq!(written.tensor(name).unwrap().shape(), expected.tensor(name).unwrap().shape(), "{name}");
        // 1e-5 of entries that reach 4.
        aoi_testing::assert_all_close(&numbers(&written, name), &numbers(&expected, name), 4e-5, 0.0);
    }
}

#[test]
fn a_folder_of_lightings_is_normalised_padded_and_embedded() {
    let (folder, encoder) = (folder(3, 11, 9), encoder());
    let (mean, std) = (vec![0.4, 0.6], vec![0.2, 0.3]);
    let options = EmbedOptions { mean: Some(mean), std: Some(std), batch: 2, ..EmbedOptions::default() };
    let found = embed_folder(&encoder, folder.path(), &options, &mut go).unwrap();
    assert_eq!(found.names, ["p0", "p1", "p2"]);
    assert_eq!((found.grid.rows, found.grid.columns), (3, 3));
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    // The second picture by hand.
    let raw = images::list(folder.path()).unwrap()[1].read().unwrap();
    let mut padded = Array3::zeros((2, 12, 12));
    for ((c, y, x), v) in raw.indexed_iter() {
        padded[[c, y, x]] = (v - [0.4, 0.6][c]) / [0.2, 0.3][c];
    }
    let alone = encoder.forward(&padded.insert_axis(Axis(0)), &[], &mut Workspace::new(1).unwrap()).unwrap();
    assert_eq!(found.features.patches.index_axis(Axis(0), 1), alone.patches.index_axis(Axis(0), 0));
    assert_eq!(found.features.class.row(1), alone.class.row(0));
}

#[test]
fn larger_pictures_are_tiled_and_far_from_seams_a_tile_decides_alone() {
    let (folder, encoder) = (folder(2, 28, 12), encoder());
    let options =
        EmbedOptions { tiling: Tiling::Overlap(Some(1)), blocks: vec![0], ..EmbedOptions::default() };
    let found = embed_folder(&encoder, folder.path(), &options, &mut go).unwrap();
    assert_eq!(found.features.patches.shape(), [2, 3 * 7, 16]);
    assert!(found.notes.iter().any(|n| n.contains("3 tiles of 3 x 3")), "{:?}", found.notes);
    assert!(found.notes.iter().any(|n| n.contains("normalised")), "{:?}", found.notes);
    // The first two columns belong to the first tile alone.
    let mut picture = images::list(folder.path()).unwrap()[1].read().unwrap();
    images::Normalisation::new(2, None, None).unwrap().apply(&mut picture).unwrap();
    let tile = picture.slice(s![.., .., ..12]).to_owned().insert_axis(Axis(0));
    let alone = encoder.forward(&tile, &[0], &mut Workspace::new(1).unwrap()).unwrap();
    for row in 0..3 {
        for column in 0..2 {
            assert_eq!(
                found.features.patches.slice(s![1, row * 7 + column, ..]),
                alone.patches.slice(s![0, row * 3 + column, ..])
            );
            assert_eq!(
                found.features.blocks[0].slice(s![1, row * 7 + column, ..]),
                alone.blocks[0].slice(s![0, row * 3 + column, ..])
            );
        }
    }
    let whole = EmbedOptions { tiling: Tiling::Whole, ..EmbedOptions::default() };
    let whole = embed_folder(&encoder, folder.path(), &whole, &mut go).unwrap();
    assert_eq!(whole.features.patches.shape(), [2, 21, 16]);
    assert_ne!(whole.features.patches, found.features.patches);
}

#[test]
fn batches_and_threads_change_no_bit() {
    let (folder, encoder) = (folder(5, 24, 20), encoder());
    let run = |batch, threads| {
        let options = EmbedOptions { batch, threads, ..EmbedOptions::default() };
        embed_folder(&encoder, folder.path(), &options, &mut go).unwrap().features
    };
    let one = run(1, 1);
    for (batch, threads) in [(2, 1), (3, 2), (64, 3)] {
        assert_eq!(run(batch, threads), one, "{batch} {threads}");
    }
}

#[test]
fn cancelling_leaves_no_file() {
    let (folder, out) = (folder(4, 12, 12), TempDir::new().unwrap());
    let path = out.path().join("out.safetensors");
    let options = EmbedOptions { batch: 1, ..EmbedOptions::default() };
    let mut stop = |done, _| if done == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error =
        embed(&weights("timm_registers"), &LoadOptions::default(), folder.path(), &path, &options, &mut stop);
    assert!(matches!(error, Err(Error::Cancelled { done: 2, total: 4 })));
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn pictures_that_do_not_fit_are_refused_with_a_reason() {
    let encoder = encoder();
    let default = EmbedOptions::default();
    let odd = folder(2, 12, 12);
    ImageBuffer::from_pixel(16, 12, Luma([1_u8])).save(odd.path().join("p2_buffer0.png")).unwrap();
    ImageBuffer::from_pixel(16, 12, Luma([1_u8])).save(odd.path().join("p2_buffer1.png")).unwrap();
    let message = embed_folder(&encoder, odd.path(), &default, &mut go).unwrap_err().to_string();
    assert!(message.contains("like p0"), "{message}");
    let resized = EmbedOptions { resize: Some((12, 12)), ..default.clone() };
    assert!(embed_folder(&encoder, odd.path(), &resized, &mut go).is_ok());
    for options in [
        EmbedOptions { batch: 0, ..default.clone() },
        EmbedOptions { threads: 0, ..default.clone() },
        EmbedOptions { mean: Some(vec![0.1; 3]), ..default.clone() },
    ] {
        assert!(matches!(embed_folder(&encoder, odd.path(), &options, &mut go), Err(Error::Config { .. })));
    }
    let blocks = EmbedOptions { blocks: vec![9], ..resized };
    assert!(matches!(
        embed_folder(&encoder, odd.path(), &blocks, &mut go),
        Err(Error::Block { found: 9, last: 1 })
    ));
}

#[test]
fn grey_pictures_serve_every_channel_and_it_is_said() {
    let folder = TempDir::new().unwrap();
    ImageBuffer::from_fn(12, 12, |x, y| Luma([u8::try_from(x * y).unwrap()]))
        .save(folder.path().join("g.png"))
        .unwrap();
    let found = embed_folder(&encoder(), folder.path(), &EmbedOptions::default(), &mut go).unwrap();
    assert!(found.notes.iter().any(|n| n.contains("repeated to 2")), "{:?}", found.notes);
}

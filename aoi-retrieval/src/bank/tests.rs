use super::*;
use crate::{CompactCopy, CompleteLabels, CpuOptions, CpuSearch, Metric};
use aoi_testing::Seeded;
use ndarray::{Array4, array};
use std::fs;

fn complete(rows: usize) -> Labels {
    let masks = Array4::from_shape_fn((rows, 3, 3, 2), |(n, y, x, c)| u8::from((n + 2 * y + x * c) % 3 == 0));
    Labels::Complete(CompleteLabels::from_patches(masks.view()).unwrap())
}

fn average(labels: &Labels) -> Labels {
    let Labels::Complete(l) = labels else { unreachable!() };
    Labels::Average(l.averages())
}

fn two_images(labels: &dyn Fn(usize) -> Labels) -> Bank {
    let mut bank = Bank::new(4, vec!["wire".into(), "ball".into()], labels(0)).unwrap();
    for (name, rows, width) in [("a", 3, None), ("b", 2, Some(5))] {
        let keys = Array2::from_shape_fn((rows, 4), |(i, j)| (i * 10 + j) as f32 + rows as f32 * 100.0);
        match width {
            None => bank.add_image(name, keys.view(), &labels(rows)).unwrap(),
            Some(width) => {
                let size = ImageSize { height: 2, width };
                bank.add_sized_image(name, size, keys.view(), &labels(rows)).unwrap();
            }
        }
    }
    bank.set_attribute("encoder", "an encoder");
    bank
}

fn assert_same(a: &Bank, b: &Bank) {
    assert_eq!(
        (a.keys(), a.labels(), a.classes(), a.images(), a.attributes()),
        (b.keys(), b.labels(), b.classes(), b.images(), b.attributes())
    );
}

#[test]
fn images_come_and_go_with_their_rows() {
    let mut bank = two_images(&complete);
    assert_eq!(bank.image_rows(), [0..3, 3..5]);
    let before = bank.clone();
    let extra = complete(1);
    assert!(bank.add_image("a", Array2::zeros((1, 4)).view(), &extra).is_err(), "name taken");
    assert!(bank.add_image("c", Array2::zeros((1, 5)).view(), &extra).is_err(), "width");
    assert!(bank.add_image("c", Array2::zeros((2, 4)).view(), &extra).is_err(), "rows");
    assert!(bank.add_image("c", array![[0.0, f32::NAN, 0.0, 0.0]].view(), &extra).is_err(), "NaN");
    assert!(bank.add_image("c", Array2::zeros((1, 4)).view(), &average(&extra)).is_err(), "kind");
    let size = ImageSize { height: 3, width: 4 };
    assert!(bank.add_sized_image("c", size, Array2::zeros((1, 4)).view(), &extra).is_err(), "two patches");
    assert!(bank.remove_image("c").is_err(), "unknown");
    assert_same(&bank, &before);
    bank.remove_image("a").unwrap();
    assert_eq!(bank.keys().row(0), before.keys().row(3));
    assert_eq!(bank.labels(), &before.labels().select(&[3, 4]).unwrap());
    bank.remove_image("b").unwrap();
    assert_eq!((bank.rows(), bank.images().len()), (0, 0));
}

#[test]
fn a_subset_keeps_the_books() {
    let bank = two_images(&complete);
    let small = bank.subset(&[1, 2, 4]).unwrap();
    assert_eq!(small.images().iter().map(|i| i.rows).collect::<Vec<_>>(), [2, 1]);
    let whole = |bank: &Bank| bank.images().iter().map(|i| i.is_whole(3)).collect::<Vec<_>>();
    assert_eq!((whole(&bank), whole(&small)), (vec![None, Some(true)], vec![None, Some(false)]));
    assert_eq!(small.keys().row(2), bank.keys().row(4));
    for wrong in [vec![2, 1], vec![1, 1], vec![5]] {
        assert!(bank.subset(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_saved_bank_opens_equal_and_can_grow() {
    let folder = tempfile::tempdir().unwrap();
    let kinds: [&dyn Fn(usize) -> Labels; 2] = [&complete, &|n| average(&complete(n))];
    for labels in kinds {
        for bank in [two_images(labels), Bank::new(4, vec!["x".into(), "y".into()], labels(0)).unwrap()] {
            let path = folder.path().join("bank.safetensors");
            bank.save(&path).unwrap();
            let mut opened = Bank::open(&path).unwrap();
            assert_same(&opened, &bank);
            let first = fs::read(&path).unwrap();
            opened.save(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), first, "the same bank gives the same bytes");
            opened.add_image("c", Array2::ones((2, 4)).view(), &labels(2)).unwrap();
            assert_eq!(opened.rows(), bank.rows() + 2);
        }
    }
    assert!(fs::read_dir(folder.path()).unwrap().count() == 1, "no temporary file is left");
}

#[cfg(target_endian = "little")]
#[test]
fn keys_of_an_opened_bank_stay_mapped_and_a_search_reads_them_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.safetensors");
    let made = two_images(&complete);
    assert!(!made.keys_are_mapped());
    made.save(&path).unwrap();
    let bank = Bank::open(&path).unwrap();
    assert!(bank.keys_are_mapped() && bank.clone().keys_are_mapped());
    for copy in [CompactCopy::Never, CompactCopy::Always] {
        let options = CpuOptions { copy, ..CpuOptions::default() };
        let search = CpuSearch::new(bank.keys(), Metric::Cosine, &options).unwrap();
        assert_eq!(search.bank_address(), bank.keys().as_ptr(), "{copy:?}");
    }
    let mut grown = bank.clone();
    grown.remove_image("a").unwrap();
    assert!(bank.keys_are_mapped() && !grown.keys_are_mapped());
}

#[test]
fn every_truncation_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.safetensors");
    two_images(&complete).save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let cut = folder.path().join("cut");
    for length in 0..whole.len() {
        fs::write(&cut, &whole[..length]).unwrap();
        assert!(Bank::open(&cut).is_err(), "{length} of {} bytes", whole.len());
    }
    assert!(matches!(Bank::open(&folder.path().join("none")), Err(RetrievalError::Io { .. })));
}

#[test]
fn no_damaged_byte_makes_a_panic_or_an_inconsistent_bank() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.safetensors");
    two_images(&complete).save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut s = Seeded::new(1);
    let (mut refused, mut opened) = (0, 0);
    for i in 0..3000 {
        let mut damaged = whole.clone();
        // The first bytes are a length that an attacker would set, so they get more than their share.
        let at = if i % 4 == 0 { s.below(8) } else { s.below(whole.len()) };
        damaged[at] = (s.bits() & 0xFF) as u8;
        fs::write(&path, &damaged).unwrap();
        match Bank::open(&path) {
            Err(_) => refused += 1,
            Ok(bank) => {
                opened += 1;
                assert_eq!(bank.rows(), bank.labels().rows());
                assert_eq!(bank.image_rows().last().map_or(0, |r| r.end), bank.rows());
                assert!(bank.keys().iter().all(|x| x.is_finite()));
            }
        }
    }
    assert!(refused > 1000 && opened > 100, "{refused} refused, {opened} opened");
}

/// The saved file with one piece of its header replaced by another of the same length.
fn edited(from: &str, to: &str) -> RetrievalError {
    assert_eq!(from.len(), to.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.safetensors");
    two_images(&complete).save(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("the piece is there");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    fs::write(&path, bytes).unwrap();
    Bank::open(&path).unwrap_err()
}

#[test]
fn a_lying_header_is_refused_by_name() {
    for (from, to, says) in [
        (r#"\"format\":1"#, r#"\"format\":2"#, "format 1 is understood"),
        (r#"\"patch\":3"#, r#"\"patch\":4"#, "labels"),
        (r#"\"patch\":3"#, r#"\"patch\":0"#, "patch"),
        (r#"\"rows\":3"#, r#"\"rows\":4"#, "images together"),
        (r#"\"width\":5"#, r#"\"width\":1"#, "rows of an image"),
        (r#"\"width\":5"#, r#"\"widtX\":5"#, "description"),
        (r#"\"name\":\"b\""#, r#"\"name\":\"a\""#, "once"),
        (r#"[\"wire\","#, r#"[1,\"wi\","#, "description"),
        ("aoi-retrieval", "aoi-retrieveX", "no bank"),
        ("\"F32\"", "\"I32\"", "keys must be F32"),
        ("\"shape\":[5,4]", "\"shape\":[4,5]", "labels"),
        ("\"shape\":[5,4]", "\"shape\":[9,9]", "safetensors"),
        (r#"\"complete\""#, r#"\"completX\""#, "description"),
    ] {
        let error = edited(from, to);
        assert!(matches!(error, RetrievalError::BadFile { .. }), "{error}");
        assert!(error.to_string().contains(says), "{from} -> {to}: {error}");
    }
}

#[test]
fn keys_that_are_not_finite_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.safetensors");
    two_images(&complete).save(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let key = 300.0_f32.to_le_bytes();
    let at = bytes.windows(4).position(|w| w == key).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = Bank::open(&path).unwrap_err();
    assert!(error.to_string().contains("key row 0, column 0"), "{error}");
}

#[test]
fn a_bank_of_before_sizes_were_kept_opens_without_them() {
    // One lacks its size, as all images of such files do; nothing else of the layout has changed.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.safetensors");
    let bank = two_images(&complete);
    bank.save(&path).unwrap();
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    assert!(text.contains(r#"{\"name\":\"a\",\"rows\":3}"#), "{text}");
    let sizes: Vec<_> = Bank::open(&path).unwrap().images().iter().map(|i| i.size).collect();
    assert_eq!(sizes, [None, Some(ImageSize { height: 2, width: 5 })]);
}

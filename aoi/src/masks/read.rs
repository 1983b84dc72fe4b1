//! Masks from files; whatever is not plainly a mask of the classes asked for is an error.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aoi_encoder::ndarray::{Array2, Array3, Axis};
use image::{DynamicImage, ImageReader};

use super::{MaskFolder, MaskValues, OVERLAY_ENDING};
use crate::{Error, Result};

/// Endings of mask files, in lower case. Index values do not survive JPEG, which is for drawings alone.
const ENDINGS: [&str; 6] = ["png", "tif", "tiff", "bmp", "jpg", "jpeg"];

impl MaskFolder {
    /// The mask of the picture `name`, whose size is (height, width).
    ///
    /// # Shapes
    /// -> \[c, height, width\], 0 and 1
    ///
    /// # Errors
    /// When there is no mask or there are two, a class has no file, a file belongs to no class, a size differs from the picture's, or a
    /// value is no class.
    pub fn read(&self, name: &str, size: (usize, usize)) -> Result<Array3<u8>> {
        let stacked = self.folder.join(name);
        let files = with_stem(&self.folder, name)?;
        match (stacked.is_dir(), files.as_slice()) {
            (true, []) => self.read_classes(&stacked, size),
            (false, [file]) => self.read_map(file, size),
            (false, []) => Err(Error::file(
                &self.folder,
                format!("a mask of {name}: {name}.png or a folder {name} with one file a class"),
                "neither",
                "draw one, or take the picture away",
            )),
            (folder, _) => Err(Error::file(
                &self.folder,
                format!("one mask of {name}"),
                format!("{} files{}", files.len(), if folder { " and a folder" } else { "" }),
                "keep one",
            )),
        }
    }

    /// One file a class.
    fn read_classes(&self, folder: &Path, size: (usize, usize)) -> Result<Array3<u8>> {
        let mut mask = Array3::zeros((self.classes.len(), size.0, size.1));
        let mut known = BTreeSet::new();
        for (class, mut plane) in self.classes.iter().zip(mask.outer_iter_mut()) {
            let files = with_stem(folder, class)?;
            let [file] = files.as_slice() else {
                return Err(Error::file(
                    folder,
                    format!("one file for the class {class}, such as {class}.png"),
                    format!("{} files", files.len()),
                    "write an all-black picture where the class is absent",
                ));
            };
            known.insert(file.clone());
            plane.assign(&self.binary(file, size)?);
        }
        match pictures(folder)?.into_iter().find(|path| !known.contains(path)) {
            Some(path) => Err(Error::file(
                &path,
                format!("a file of one of the classes {}", self.classes.join(", ")),
                "another name",
                "name the class with --classes, or take the file away",
            )),
            None => Ok(mask),
        }
    }

    /// A label map, or a drawing of the only class.
    fn read_map(&self, file: &Path, size: (usize, usize)) -> Result<Array3<u8>> {
        if self.values != MaskValues::Index {
            if self.classes.len() != 1 {
                let found = format!("{} classes", self.classes.len());
                return Err(Error::file(
                    file,
                    "a label map, or one class for a mask that is drawn dark or bright",
                    found,
                    "write one file a class in a folder named like the picture",
                ));
            }
            return Ok(self.binary(file, size)?.insert_axis(Axis(0)));
        }
        let map = grey(file, size)?;
        let mut mask = Array3::zeros((self.classes.len(), size.0, size.1));
        for ((y, x), &value) in map.indexed_iter() {
            if value == 0 {
                continue;
            }
            match mask.get_mut([usize::from(value) - 1, y, x]) {
                Some(bit) => *bit = 1,
                None => {
                    return Err(Error::file(
                        file,
                        format!("class numbers 0 to {} ({})", self.classes.len(), self.classes.join(", ")),
                        format!("{value} at row {y}, column {x}"),
                        "name every class in the order of its number, or say --mask-values bright:128",
                    ));
                }
            }
        }
        Ok(mask)
    }

    /// Where the one class of a file is.
    fn binary(&self, file: &Path, size: (usize, usize)) -> Result<Array2<u8>> {
        match self.values {
            MaskValues::Dark(level) => Ok(drawing(file, size)?.mapv(|v| u8::from(v < level))),
            MaskValues::Bright(level) => Ok(drawing(file, size)?.mapv(|v| u8::from(v >= level))),
            MaskValues::Index => {
                let map = grey(file, size)?;
                let on: BTreeSet<u16> = map.iter().copied().filter(|v| *v != 0).collect();
                if on.len() > 1 {
                    let found = format!("{} different values above 0", on.len());
                    return Err(Error::file(
                        file,
                        "0 and one other value",
                        found,
                        "say --mask-values bright:128 where a mask was smoothed",
                    ));
                }
                Ok(map.mapv(|v| u8::from(v != 0)))
            }
        }
    }

    /// The names of all masks in the folder, in order; overlays are passed over.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no mask.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(&self.folder).map_err(Error::io(&self.folder))? {
            let path = entry.map_err(Error::io(&self.folder))?.path();
            let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
            let Some(stem) = stem.and_then(|s| s.to_str()).filter(|s| !s.starts_with('.')) else { continue };
            if (path.is_dir() || is_picture(&path)) && !stem.ends_with(OVERLAY_ENDING) {
                names.insert(stem.to_owned());
            }
        }
        if names.is_empty() {
            let expected = "masks: NAME.png, or folders NAME with one file a class";
            return Err(Error::file(&self.folder, expected, "none", "run `aoi segment predict` first"));
        }
        Ok(names.into_iter().collect())
    }

    /// The mask `name` in the size that its files have.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_any(&self, name: &str) -> Result<Array3<u8>> {
        let stacked = self.folder.join(name);
        let files = if stacked.is_dir() { pictures(&stacked)? } else { with_stem(&self.folder, name)? };
        match files.first() {
            Some(file) => {
                let (width, height) = image::image_dimensions(file).map_err(|e| unreadable(file, &e))?;
                self.read(name, (height as usize, width as usize))
            }
            None => self.read(name, (0, 0)),
        }
    }
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) && !path.is_dir()
}

/// The pictures of a folder, in order; hidden files are passed over.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let hidden = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with('.'));
        if is_picture(&path) && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The picture files `stem.png`, `stem.bmp` and so on that are there.
fn with_stem(folder: &Path, stem: &str) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Err(Error::file(folder, "a folder of masks", "no folder", "check the path"));
    }
    let mut found = Vec::new();
    for ending in ENDINGS.iter().flat_map(|e| [(*e).to_owned(), e.to_uppercase()]) {
        let path = folder.join(format!("{stem}.{ending}"));
        if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

fn unreadable(file: &Path, error: &image::ImageError) -> Error {
    Error::file(file, "a picture (PNG, TIFF, BMP, JPEG)", error.to_string(), "write it again")
}

fn decode(file: &Path, (height, width): (usize, usize)) -> Result<DynamicImage> {
    let reader =
        ImageReader::open(file).and_then(ImageReader::with_guessed_format).map_err(Error::io(file))?;
    let image = reader.decode().map_err(|e| unreadable(file, &e))?;
    if (image.height() as usize, image.width() as usize) != (height, width) {
        let found = format!("{} x {}", image.height(), image.width());
        let expected = format!("{height} x {width} pixels (rows x columns) like the picture");
        return Err(Error::file(file, expected, found, "a mask has one value for each pixel of its picture"));
    }
    Ok(image)
}

/// The values of a grey picture as they are.
fn grey(file: &Path, size: (usize, usize)) -> Result<Array2<u16>> {
    let image = decode(file, size)?;
    let values: Vec<u16> = match &image {
        DynamicImage::ImageLuma8(i) => i.iter().map(|&v| u16::from(v)).collect(),
        DynamicImage::ImageLuma16(i) => i.iter().copied().collect(),
        DynamicImage::ImageRgb8(i) if i.pixels().all(|p| p[0] == p[1] && p[1] == p[2]) => {
            i.pixels().map(|p| u16::from(p[0])).collect()
        }
        other => {
            return Err(Error::file(
                file,
                "a grey picture of class numbers",
                format!("{:?} pixels", other.color()),
                "save it as grey, not as colours or a palette, or say --mask-values bright:128 for a drawing",
            ));
        }
    };
    Ok(Array2::from_shape_fn(size, |(y, x)| values[y * size.1 + x]))
}

/// The brightness of any picture, 0 to 255.
fn drawing(file: &Path, size: (usize, usize)) -> Result<Array2<u8>> {
    let image = decode(file, size)?.into_luma8();
    let values = image.as_raw();
    Ok(Array2::from_shape_fn(size, |(y, x)| values[y * size.1 + x]))
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, Rgb};
    use tempfile::TempDir;

    use super::*;

    fn classes() -> Vec<String> {
        ["wire", "ball"].map(str::to_owned).to_vec()
    }

    fn save(path: &Path, value: impl Fn(u32, u32) -> u8) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        ImageBuffer::from_fn(4, 3, |x, y| Luma([value(x, y)])).save(path).unwrap();
    }

    #[test]
    fn a_label_map_gives_one_plane_a_class() {
        let folder = TempDir::new().unwrap();
        save(&folder.path().join("a.png"), |x, _| u8::try_from(x % 3).unwrap());
        let deep: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_fn(4, 3, |x, _| Luma([u16::from(x == 1)]));
        deep.save(folder.path().join("b.png")).unwrap();
        let masks = MaskFolder::new(folder.path(), classes()).unwrap();
        let a = masks.read("a", (3, 4)).unwrap();
        for ((c, _, x), &bit) in a.indexed_iter() {
            assert_eq!(bit == 1, x % 3 == c + 1);
        }
        assert_eq!(masks.read("b", (3, 4)).unwrap().sum(), 3);
        assert_eq!(masks.read_any("a").unwrap(), a);
        save(&folder.path().join("a_overlay.png"), |_, _| 9);
        assert_eq!(masks.names().unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_folder_gives_overlapping_classes() {
        let folder = TempDir::new().unwrap();
        save(&folder.path().join("a/wire.png"), |x, _| 255 * u8::from(x < 3));
        save(&folder.path().join("a/ball.png"), |x, _| u8::from(x > 1));
        let masks = MaskFolder::new(folder.path(), classes()).unwrap();
        let mask = masks.read("a", (3, 4)).unwrap();
        assert_eq!(mask.outer_iter().map(|p| p.sum()).collect::<Vec<_>>(), [9, 6]);
        assert_eq!((mask[[0, 0, 2]], mask[[1, 0, 2]]), (1, 1));
        assert_eq!(masks.read_any("a").unwrap(), mask);
        assert_eq!(masks.names().unwrap(), ["a"]);
    }

    #[test]
    fn drawings_are_cut_at_a_level() {
        let folder = TempDir::new().unwrap();
        let drawing = ImageBuffer::from_fn(4, 3, |x, _| Rgb([if x < 2 { 3_u8 } else { 252 }; 3]));
        drawing.save(folder.path().join("a.png")).unwrap();
        let masks = MaskFolder::new(folder.path(), vec!["chip".into()]).unwrap();
        let dark = masks.clone().with_values("dark:128".parse().unwrap());
        assert_eq!(dark.read("a", (3, 4)).unwrap().sum(), 6);
        let bright = masks.clone().with_values(MaskValues::Bright(253));
        assert_eq!(bright.read("a", (3, 4)).unwrap().sum(), 0);
        let error = masks.read("a", (3, 4)).unwrap_err().to_string();
        assert!(error.contains("bright:128"), "{error}");
        for word in ["dark", "dark:256", "grey:1", ""] {
            assert!(word.parse::<MaskValues>().unwrap_err().is_usage());
        }
    }

    #[test]
    fn whatever_is_no_mask_of_the_classes_is_refused_by_name() {
        let folder = TempDir::new().unwrap();
        let masks = MaskFolder::new(folder.path(), classes()).unwrap();
        assert!(masks.names().unwrap_err().to_string().contains("found none"));
        let said = |name: &str| masks.read(name, (3, 4)).unwrap_err().to_string();
        save(&folder.path().join("number.png"), |x, _| u8::try_from(x).unwrap());
        assert!(said("number").contains("number.png") && said("number").contains("3 at row 0, column 3"));
        save(&folder.path().join("half/wire.png"), |_, _| 1);
        assert!(said("half").contains("ball.png"));
        save(&folder.path().join("more/wire.png"), |_, _| 1);
        save(&folder.path().join("more/ball.png"), |_, _| 1);
        save(&folder.path().join("more/glue.png"), |_, _| 1);
        assert!(said("more").contains("glue.png"));
        save(&folder.path().join("grey/wire.png"), |x, _| u8::try_from(x).unwrap());
        save(&folder.path().join("grey/ball.png"), |_, _| 0);
        assert!(said("grey").contains("wire.png") && said("grey").contains("3 different values"));
        save(&folder.path().join("twice.png"), |_, _| 0);
        save(&folder.path().join("twice.bmp"), |_, _| 0);
        assert!(said("twice").contains("2 files"));
        assert!(said("absent").contains("absent.png"));
        ImageBuffer::from_pixel(4, 3, Rgb([1_u8, 2, 3])).save(folder.path().join("colour.png")).unwrap();
        assert!(said("colour").contains("palette"));
        std::fs::write(folder.path().join("torn.png"), b"not a picture").unwrap();
        assert!(said("torn").contains("torn.png"));
        let error = masks.read("number", (3, 5)).unwrap_err().to_string();
        assert!(error.contains("3 x 5") && error.contains("3 x 4"), "{error}");
        let nowhere = MaskFolder::new(&folder.path().join("no"), classes()).unwrap();
        assert!(nowhere.read("a", (3, 4)).unwrap_err().to_string().contains("no folder"));
    }

    #[test]
    fn class_names_that_cannot_name_files_are_refused() {
        for names in [vec![], vec!["a", "a"], vec![""], vec!["../a"], vec![".a"]] {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert!(MaskFolder::new(Path::new("x"), names.clone()).unwrap_err().is_usage(), "{names:?}");
        }
    }
}

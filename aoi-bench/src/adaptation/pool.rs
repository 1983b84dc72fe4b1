//! The pictures, and how a seed draws them into labelled, tested and unlabelled ones.

use std::path::Path;

use aoi::demo::bonds::{BondOptions, CLASSES, write_bonds};
use aoi::masks::MaskFolder;
use aoi::measure::Parts;
use aoi::segment::{Labelled, LabelledFolder};
use aoi::silent;
use aoi_encoder::images::{Stack, list, repeat_grey};
use aoi_testing::Seeded;

use crate::error::Error;

/// Labelled pictures of one device or several, all in memory.
#[derive(Debug)]
pub struct Pool {
    /// What the pictures are, in words.
    pub described: String,
    classes: Vec<String>,
    pictures: Vec<Labelled>,
    stacks: Vec<Stack>,
    /// The device of every picture, a place in `devices`.
    device: Vec<usize>,
    devices: Vec<String>,
}

/// What is adapted to and tested on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// The device, or `all`.
    pub(super) name: String,
    pub(super) mixed: bool,
    pub(super) labelled: Vec<usize>,
    pub(super) tested: Vec<usize>,
}

/// The draw of one seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Split {
    pub(super) settings: Vec<Setting>,
    pub(super) unlabelled: Vec<usize>,
    pub(super) devices: usize,
}

impl Pool {
    /// Draws so many wire bonds of each of three devices into a folder, and reads them.
    ///
    /// # Errors
    /// When the system cannot write or read.
    pub fn generate(folder: &Path, of_each: usize, seed: u64) -> Result<Self, Error> {
        let options = BondOptions { labelled: of_each, inspected: 0, defects: 0.0, seed };
        let written = write_bonds(folder, &options, &mut silent())?;
        let stacks = list(&written.labelled_images)?;
        // SIDE4-L003 is a picture of SIDE4.
        let part = |name: &str| name.rsplit_once('-').map_or(name, |(part, _)| part).to_owned();
        let parts = stacks.iter().map(|s| (s.name.clone(), part(&s.name))).collect();
        let masks = MaskFolder::new(&written.labelled_masks, CLASSES.map(str::to_owned).to_vec())?;
        let described = format!("generated wire bonds, {of_each} pictures of each device, seed {seed}");
        Self::read(&written.labelled_images, masks, &Parts::ByImage(parts), described)
    }

    /// Reads a folder of pictures with their masks; grey ones among pictures of several channels are repeated.
    ///
    /// # Errors
    /// When a picture or its mask cannot be read, has another number of channels than one or that of most channels, or `parts` does not name it.
    pub fn read(images: &Path, masks: MaskFolder, parts: &Parts, described: String) -> Result<Self, Error> {
        let stacks = list(images)?;
        let folder = LabelledFolder::new(images, masks)?;
        let mut pictures = (0..folder.len()).map(|i| folder.read(i)).collect::<Result<Vec<_>, _>>()?;
        let channels = pictures.iter().map(|p| p.picture.dim().0).max().unwrap_or(1);
        for Labelled { name, picture, .. } in &mut pictures {
            *picture = repeat_grey(std::mem::take(picture), channels).map_err(|e| Error::Option {
                what: format!("picture {name} in {}", images.display()),
                expected: format!("one channel, or {channels} as others have"),
                got: e.to_string(),
            })?;
        }
        let names = pictures.iter().map(|p| parts.of(&p.name).map(str::to_owned));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let mut devices = names.clone();
        devices.sort();
        devices.dedup();
        let place = |name: &String| devices.iter().position(|d| d == name).unwrap_or(0);
        let device = names.iter().map(place).collect();
        Ok(Self { described, classes: folder.classes().to_vec(), pictures, stacks, device, devices })
    }

    /// The classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The devices.
    pub fn devices(&self) -> &[String] {
        &self.devices
    }

    /// Channels of every picture.
    pub(super) fn channels(&self) -> usize {
        self.pictures.first().map_or(1, |p| p.picture.dim().0)
    }

    pub(super) fn picture(&self, i: usize) -> &Labelled {
        &self.pictures[i]
    }

    /// Copies the files of pictures, without masks, into a folder.
    pub(super) fn copy(&self, pictures: &[usize], folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        for file in pictures.iter().flat_map(|&i| &self.stacks[i].files) {
            let target = folder.join(file.file_name().unwrap_or_default());
            std::fs::copy(file, target).map_err(Error::file(file))?;
        }
        Ok(())
    }

    /// Of every device `labelled` pictures that show every class between them, `tested` others, and the rest.
    ///
    /// # Errors
    /// When a device has too few pictures, or no draw shows every class.
    pub(super) fn split(&self, labelled: usize, tested: usize, seed: u64) -> Result<Split, Error> {
        let mut seeded = Seeded::new(seed);
        let mut split = Split { settings: Vec::new(), unlabelled: Vec::new(), devices: self.devices.len() };
        for (number, name) in self.devices.iter().enumerate() {
            let mut own: Vec<usize> =
                (0..self.pictures.len()).filter(|&i| self.device[i] == number).collect();
            let expected = format!("{labelled} labelled, {tested} tested and at least one other picture");
            if own.len() <= labelled + tested {
                let (what, got) = (format!("device {name}"), format!("{} pictures", own.len()));
                return Err(Error::Option { what, expected, got });
            }
            // Draws until every class is shown; a thousand fail only where a class is rare indeed.
            let drawn = (0..1000).any(|_| {
                for i in (1..own.len()).rev() {
                    own.swap(i, seeded.below(i + 1));
                }
                self.shows_every_class(&own[..labelled])
            });
            if !drawn {
                let what = format!("{labelled} labelled pictures of device {name}");
                let expected = "every class on at least one of them: take more, or fewer classes".into();
                return Err(Error::Option { what, expected, got: "none in a thousand draws".into() });
            }
            split.unlabelled.extend(&own[labelled + tested..]);
            split.settings.push(Setting {
                name: name.clone(),
                mixed: false,
                labelled: own[..labelled].to_vec(),
                tested: own[labelled..labelled + tested].to_vec(),
            });
        }
        if self.devices.len() > 1 {
            let all =
                |which: fn(&Setting) -> &Vec<usize>| split.settings.iter().flat_map(which).copied().collect();
            let (labelled, tested) = (all(|s| &s.labelled), all(|s| &s.tested));
            split.settings.push(Setting { name: "all".into(), mixed: true, labelled, tested });
        }
        split.unlabelled.sort_unstable();
        Ok(split)
    }

    fn shows_every_class(&self, pictures: &[usize]) -> bool {
        let shown = |class: usize| {
            let plane = |&i: &usize| {
                self.pictures[i].mask.outer_iter().nth(class).is_some_and(|p| p.iter().any(|v| *v != 0))
            };
            pictures.iter().any(plane)
        };
        (0..self.classes.len()).all(shown)
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;

    #[test]
    fn grey_pictures_among_coloured_ones_are_repeated_and_other_channels_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let [images, masks] = ["images", "masks"].map(|name| folder.path().join(name));
        for folder in [&images, &masks] {
            std::fs::create_dir(folder).unwrap();
        }
        let grey = |path: std::path::PathBuf, value: u8| {
            GrayImage::from_pixel(4, 4, Luma([value])).save(path).unwrap();
        };
        let read = || {
            let masks = MaskFolder::new(&masks, vec!["pad".into()]).unwrap();
            Pool::read(&images, masks, &Parts::One("one".into()), "pictures".into())
        };
        for name in ["a.png", "b.png", "c.png"] {
            grey(masks.join(name), 1);
        }
        grey(images.join("a.png"), 7);
        RgbImage::from_pixel(4, 4, Rgb([7, 8, 9])).save(images.join("b.png")).unwrap();
        let pool = read().unwrap();
        assert_eq!(pool.channels(), 3);
        assert_eq!([0, 1].map(|i| pool.picture(i).picture.dim()), [(3, 4, 4); 2]);
        // A stack of two lightings.
        for lighting in 0..2 {
            grey(images.join(format!("c_buffer{lighting}.png")), 7);
        }
        let error = read().unwrap_err().to_string();
        assert!(error.contains("picture c in") && error.contains("one channel, or 3"), "{error}");
    }
}

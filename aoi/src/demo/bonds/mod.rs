//! Pictures of wire bonds under two lightings, drawn from a seed, with the masks, positions and defects that belong to them.
//!
//! A gold wire leaves a die at a ball on a pad and ends at a wedge on a lead; epoxy holds the die. Under the coaxial light flat metal shines
//! and slopes are dark, under the low ring light it is the other way round. Devices differ in layout and sizes, pictures in
//! brightness, gradient, focus and noise. The classes overlap: the wire crosses its ball and its wedge.

mod canvas;
mod device;
mod folder;
mod scene;
mod surface;

use aoi_encoder::ndarray::Array3;

pub use self::device::{Bond, Device, devices};
pub use self::folder::{BondFolders, BondOptions, write_bonds};
pub use self::scene::{Defect, draw};

/// The classes of the masks, in their order.
pub const CLASSES: [&str; 4] = ["wire", "ball", "wedge", "epoxy"];
/// Rows of a picture.
pub const HEIGHT: usize = 256;
/// Columns of a picture.
pub const WIDTH: usize = 320;
/// Micrometres per pixel.
pub const UM_PER_PIXEL: f64 = 4.0;

/// A small encoder of such pictures, as a weights file in half precision: four blocks of 96 numbers, patches of 4 pixels, both lightings. It was pre-trained
/// on 300 generated pictures without their masks and whitened on them; `aoi/assets` says how it is made again.
pub const ENCODER: &[u8] = include_bytes!("../../../assets/wire-bonds.safetensors");
/// Patches that its tiles of 16 x 16 share.
pub const ENCODER_OVERLAP: usize = 8;

/// A picture and all that is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct BondPicture {
    /// Both lightings, \[2, height, width\], in steps of 1/255 from 0 to 1.
    pub lightings: Array3<f32>,
    /// The truth, \[4, height, width\], planes in the order of [`CLASSES`].
    pub masks: Array3<u8>,
    /// What is wrong, if anything.
    pub defect: Option<Defect>,
}

#[cfg(test)]
mod tests;

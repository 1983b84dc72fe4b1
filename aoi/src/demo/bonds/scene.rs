//! One picture: the device as it came out of production, drawn from the ground up.

use super::canvas::{Canvas, Paint};
use super::surface::{Texture, shiny};
use super::{Bond, BondPicture, CLASSES, Device, HEIGHT, UM_PER_PIXEL, WIDTH};
use crate::demo::chance::Chance;

const WIRE: usize = 0;
const BALL: usize = 1;
const WEDGE: usize = 2;
const EPOXY: usize = 3;

/// What can be wrong with a bond, or with the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Neither ball nor wire nor wedge.
    MissingBond(usize),
    /// The ball sits beside its pad.
    ShiftedBall(usize),
    /// The ball is too small to hold.
    SmallBall(usize),
    /// The wire leaves its line sideways.
    SaggingWire(usize),
    /// The wire is torn.
    BrokenWire(usize),
    /// The wedge came off its lead with the end of the wire.
    LiftedWedge(usize),
    /// Epoxy ran out over the frame.
    EpoxyBleed,
}

impl Defect {
    /// Every kind, on one bond.
    pub fn all(bond: usize) -> [Self; 7] {
        [
            Self::MissingBond(bond),
            Self::ShiftedBall(bond),
            Self::SmallBall(bond),
            Self::SaggingWire(bond),
            Self::BrokenWire(bond),
            Self::LiftedWedge(bond),
            Self::EpoxyBleed,
        ]
    }

    /// The bond at fault.
    pub fn bond(self) -> Option<usize> {
        match self {
            Self::MissingBond(bond)
            | Self::ShiftedBall(bond)
            | Self::SmallBall(bond)
            | Self::SaggingWire(bond)
            | Self::BrokenWire(bond)
            | Self::LiftedWedge(bond) => Some(bond),
            Self::EpoxyBleed => None,
        }
    }

    /// The classes in whose instances the fault shows.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::MissingBond(_) => &["wire", "ball", "wedge"],
            Self::ShiftedBall(_) | Self::SmallBall(_) => &["ball"],
            Self::SaggingWire(_) | Self::BrokenWire(_) => &["wire"],
            Self::LiftedWedge(_) => &["wire", "wedge"],
            Self::EpoxyBleed => &["epoxy"],
        }
    }
}

/// Draws one device; the same device, defect and seed give the same picture.
///
/// # Examples
/// ```
/// use aoi::demo::bonds::{Defect, devices, draw};
/// let device = &devices()[0];
/// let (good, torn) = (draw(device, None, 1), draw(device, Some(Defect::BrokenWire(2)), 1));
/// let wire = |p: &aoi::demo::bonds::BondPicture| p.masks.outer_iter().next().unwrap().mapv(u32::from).sum();
/// assert!(wire(&torn) < wire(&good));
/// ```
pub fn draw(device: &Device, defect: Option<Defect>, seed: u64) -> BondPicture {
    let mut chance = Chance::new(seed);
    let mut scene = Scene { canvas: Canvas::new(), device, defect };
    // The device lies a little off its nominal place.
    let off = [chance.steady(3.0), chance.steady(3.0)];
    scene.frame(&mut chance, off);
    scene.epoxy(&mut chance, off);
    scene.die(&mut chance, off);
    for (number, bond) in device.bonds.iter().enumerate() {
        // Every bond takes the same draws, whether or not it is there: a defect changes nothing else.
        let mut own = Chance::new(chance.bits());
        scene.bond(number, bond, &mut own, off);
    }
    let (lightings, masks) = scene.canvas.photograph(&mut chance);
    BondPicture { lightings, masks, defect }
}

struct Scene<'a> {
    canvas: Canvas,
    device: &'a Device,
    defect: Option<Defect>,
}

/// How far (x, y) lies inside a rectangle; negative outside.
fn inside([left, top, right, bottom]: [f64; 4], x: f64, y: f64) -> f64 {
    let (dx, dy) = ((left - x).max(x - right), (top - y).max(y - bottom));
    if dx > 0.0 && dy > 0.0 { -dx.hypot(dy) } else { -dx.max(dy) }
}

/// The rectangle of half sides (a, b) around a centre.
fn around([x, y]: [f64; 2], a: f64, b: f64) -> [f64; 4] {
    [x - a, y - b, x + a, y + b]
}

fn grown([left, top, right, bottom]: [f64; 4], by: f64) -> [f64; 4] {
    [left - by, top - by, right + by, bottom + by]
}

fn moved([left, top, right, bottom]: [f64; 4], [dx, dy]: [f64; 2]) -> [f64; 4] {
    [left + dx, top + dy, right + dx, bottom + dy]
}

impl Scene<'_> {
    /// The mould between the leads, the paddle under the die, the leads.
    fn frame(&mut self, chance: &mut Chance, off: [f64; 2]) {
        let (grain, streaks) = (Texture::new(chance), Texture::new(chance));
        let everything = [0.0, 0.0, WIDTH as f64 * UM_PER_PIXEL, HEIGHT as f64 * UM_PER_PIXEL];
        self.canvas.paint(everything, None, |x, y| {
            let rough = 0.03 * grain.at(x / 9.0, y / 9.0) + 0.03 * grain.at(x / 37.0, y / 41.0);
            Some(Paint { depth_um: 99.0, light: [0.13 + rough, 0.17 + rough] })
        });
        let metal = self.device.metal;
        let brushed = |x: f64, y: f64| {
            // Long scratches across, short ones along.
            let scratch = 0.10 * streaks.at(x / 90.0, y / 5.0) + 0.05 * streaks.at(x / 11.0, y / 13.0);
            let [coaxial, ring] = shiny(metal, 0.12 + 0.14 * scratch.abs());
            [coaxial * (0.86 + scratch), ring * (1.0 - 2.0 * scratch) + 0.02]
        };
        let paddle = grown(moved(self.device.die_um, off), 95.0);
        let lead = self.device.lead_um;
        let centre = self.device.centre_um();
        let mut plates = vec![paddle];
        for bond in &self.device.bonds {
            let [x, y] = [bond.wedge_um[0] + off[0], bond.wedge_um[1] + off[1]];
            // A lead runs from the wedge to the nearer edge of the picture.
            let away = [x - centre[0], y - centre[1]];
            plates.push(if away[0].abs() * 0.62 > away[1].abs() {
                let (near, far) =
                    if away[0] > 0.0 { (x - 0.62 * lead, 1400.0) } else { (-100.0, x + 0.62 * lead) };
                [near, y - lead / 2.0, far, y + lead / 2.0]
            } else {
                [x - lead / 2.0, -100.0, x + lead / 2.0, y + 0.62 * lead]
            });
        }
        for plate in plates {
            self.canvas.paint(plate, None, |x, y| {
                let depth_um = inside(plate, x, y);
                let light =
                    if depth_um < 6.0 { shiny(metal, 0.6 - 0.07 * depth_um.max(0.0)) } else { brushed(x, y) };
                Some(Paint { depth_um, light })
            });
        }
    }

    /// The fillet of epoxy around the die.
    fn epoxy(&mut self, chance: &mut Chance, off: [f64; 2]) {
        let (edge, speckle) = (Texture::new(chance), Texture::new(chance));
        let die = moved(self.device.die_um, off);
        let reach = self.device.epoxy_um + chance.steady(3.0);
        // Where it may run out, and how far.
        let side = chance.below(2);
        let [left, top, right, bottom] = die;
        let along = chance.between(0.3, 0.7);
        let spot = if side == 0 {
            [left + along * (right - left), bottom]
        } else {
            [left, top + along * (bottom - top)]
        };
        let bleed = chance.between(120.0, 150.0);
        let size = if self.defect == Some(Defect::EpoxyBleed) { bleed } else { 0.0 };
        let depth = |x: f64, y: f64| {
            let ring = reach + 7.0 * edge.at(x / 60.0, y / 60.0) + inside(die, x, y);
            let blob = size + 12.0 * edge.at(x / 40.0 + 9.0, y / 40.0) - (x - spot[0]).hypot(y - spot[1]);
            if size > 0.0 { ring.max(blob) } else { ring }
        };
        self.canvas.paint(grown(die, 220.0), Some(EPOXY), |x, y| {
            let depth_um = depth(x, y);
            let flakes = speckle.at(x / 6.0, y / 6.0);
            let shine = if flakes > 0.55 { 0.3 } else { 0.0 };
            // A fillet is steep at the die and thin at its end.
            let slope = 0.09 * (1.0 - (depth_um / reach).clamp(0.0, 1.0));
            let light = [
                0.25 + slope + 0.05 * flakes + shine,
                0.36 - slope + 0.07 * speckle.at(x / 7.0 + 50.0, y / 7.0) + 0.6 * shine,
            ];
            Some(Paint { depth_um, light })
        });
        self.canvas.hide(EPOXY, die, |x, y| inside(die, x, y) >= 0.0);
    }

    /// Silicon with its circuit, and the pads.
    fn die(&mut self, chance: &mut Chance, off: [f64; 2]) {
        let (blocks, fine) = (Texture::new(chance), Texture::new(chance));
        let die = moved(self.device.die_um, off);
        let silicon = self.device.silicon;
        #[expect(clippy::cast_possible_truncation, reason = "places in a picture are small")]
        self.canvas.paint(die, None, |x, y| {
            let depth_um = inside(die, x, y);
            if depth_um < 8.0 {
                return Some(Paint { depth_um, light: shiny(silicon + 0.2, 0.62) });
            }
            // Blocks of the circuit seen from above: each its own grey, fine lines inside, a bright rim under the ring.
            let (u, v) = ((x - die[0]) / 58.0, (y - die[1]) / 46.0);
            let block = blocks.point(u.floor() as i64, v.floor() as i64);
            let rim = (u.fract().min(1.0 - u.fract()) * 58.0).min(v.fract().min(1.0 - v.fract()) * 46.0);
            let lines = if block > 0.0 { (y / 3.2).sin() } else { (x / 3.2).sin() };
            let grey = silicon + 0.08 * block + 0.035 * lines + 0.02 * fine.at(x / 5.0, y / 5.0);
            let edge = if rim < 3.0 { 0.08 } else { 0.0 };
            Some(Paint { depth_um, light: [grey - edge, 0.09 + 0.03 * block.abs() + 1.4 * edge] })
        });
        let half = 0.62 * self.device.ball_um;
        for bond in &self.device.bonds {
            let centre = [bond.ball_um[0] + off[0], bond.ball_um[1] + off[1]];
            let pad = around(centre, half, half);
            self.canvas.paint(pad, None, |x, y| {
                let depth_um = inside(pad, x, y);
                let tilt = if depth_um < 5.0 { 0.55 } else { 0.12 + 0.1 * fine.at(x / 4.0, y / 4.0).abs() };
                Some(Paint { depth_um, light: shiny(0.86, tilt) })
            });
        }
    }

    /// Ball, wire and wedge.
    fn bond(&mut self, number: usize, bond: &Bond, chance: &mut Chance, off: [f64; 2]) {
        let device = self.device;
        let wrong = |kind: fn(usize) -> Defect| self.defect == Some(kind(number));
        let jitter = |chance: &mut Chance, um: f64| [chance.steady(um), chance.steady(um)];
        let (at, to) = (jitter(chance, 3.5), jitter(chance, 4.5));
        let mut ball = [bond.ball_um[0] + off[0] + at[0], bond.ball_um[1] + off[1] + at[1]];
        let wedge = [bond.wedge_um[0] + off[0] + to[0], bond.wedge_um[1] + off[1] + to[1]];
        let mut radius = device.ball_um / 2.0 * (1.0 + chance.steady(0.03));
        let mut sweep = chance.steady(7.0);
        let (turn, far) = (chance.unit() * std::f64::consts::TAU, chance.between(0.42, 0.6));
        let sign = if chance.unit() < 0.5 { -1.0 } else { 1.0 };
        let (torn, gap) = (chance.between(0.45, 0.65), chance.between(0.1, 0.16));
        let [length, width] = device.wedge_um.map(|um| um * (1.0 + chance.steady(0.03)));
        let direction = (wedge[1] - ball[1]).atan2(wedge[0] - ball[0]);
        if wrong(Defect::MissingBond) {
            return;
        }
        if wrong(Defect::ShiftedBall) {
            ball = [ball[0] + far * device.ball_um * turn.cos(), ball[1] + far * device.ball_um * turn.sin()];
        }
        if wrong(Defect::SmallBall) {
            radius *= 0.66;
        }
        if wrong(Defect::SaggingWire) {
            sweep = sign * (52.0 + 10.0 * far);
        }
        let lifted = wrong(Defect::LiftedWedge);
        let broken = wrong(Defect::BrokenWire);
        let tear = move |t: f64| match () {
            () if lifted => t > 0.8,
            () if broken => (t - torn).abs() < gap / 2.0,
            () => false,
        };

        self.ball(ball, radius);
        if !lifted {
            self.wedge(wedge, direction, [length / 2.0, width / 2.0]);
        }
        self.wire(ball, wedge, sweep, &tear);
    }

    /// A squeezed sphere: flat on top, steep at its rim.
    fn ball(&mut self, centre: [f64; 2], radius: f64) {
        let from = move |x: f64, y: f64| (x - centre[0]).hypot(y - centre[1]);
        self.canvas.shade(around(centre, 2.0 * radius, 2.0 * radius), |x, y| {
            let beyond = ((from(x, y) - radius) / (0.3 * radius)).max(0.0);
            let dark = (-beyond * beyond).exp();
            [1.0 - 0.25 * dark, 1.0 - 0.45 * dark]
        });
        self.canvas.paint(around(centre, radius, radius), Some(BALL), |x, y| {
            let r = from(x, y) / radius;
            Some(Paint { depth_um: radius * (1.0 - r), light: shiny(0.95, 1.35 * r.min(1.0).powf(2.2)) })
        });
    }

    /// The tail pressed flat on the lead: a rounded fan along the wire with the mark of the tool across.
    fn wedge(&mut self, centre: [f64; 2], direction: f64, [half_length, half_width]: [f64; 2]) {
        let (cos, sin) = (direction.cos(), direction.sin());
        let local = move |x: f64, y: f64| {
            let (dx, dy) = (x - centre[0], y - centre[1]);
            (dx * cos + dy * sin, dy * cos - dx * sin)
        };
        let reach = half_length + 8.0;
        self.canvas.paint(around(centre, reach, reach), Some(WEDGE), |x, y| {
            let (u, v) = local(x, y);
            // An ellipse that is wider towards its end.
            let stretch = 1.0 + 0.18 * u / half_length;
            let r = (u / half_length).hypot(v / (half_width * stretch));
            let depth_um = (1.0 - r) * half_width;
            let groove = (-((u - 0.25 * half_length) / 5.0).powi(2)).exp();
            Some(Paint { depth_um, light: shiny(0.93, 0.12 + 0.75 * r.min(1.0).powi(3) + 0.5 * groove) })
        });
    }

    /// A round wire along a bow from ball to wedge, `sweep` micrometres sideways in the middle, missing where `tear` says so.
    fn wire(&mut self, ball: [f64; 2], wedge: [f64; 2], sweep: f64, tear: &dyn Fn(f64) -> bool) {
        let (dx, dy) = (wedge[0] - ball[0], wedge[1] - ball[1]);
        let length = dx.hypot(dy);
        let half = self.device.wire_um / 2.0;
        let bounds = grown(
            [ball[0].min(wedge[0]), ball[1].min(wedge[1]), ball[0].max(wedge[0]), ball[1].max(wedge[1])],
            sweep.abs() + 2.0 * half,
        );
        // Share of the way, and signed distance from the middle line; the bow is flat enough to measure across its chord.
        let place = move |x: f64, y: f64| {
            let (px, py) = (x - ball[0], y - ball[1]);
            let t = (px * dx + py * dy) / (length * length);
            let bow = 4.0 * sweep * t * (1.0 - t);
            let slope = 4.0 * sweep * (1.0 - 2.0 * t) / length;
            (t, ((py * dx - px * dy) / length - bow) / slope.hypot(1.0))
        };
        let ends = move |t: f64| (t * length).min((1.0 - t) * length) + half;
        self.canvas.shade(grown(bounds, half), |x, y| {
            let (t, across) = place(x, y);
            if ends(t) < 0.0 || tear(t) {
                return [1.0; 2];
            }
            let dark = (-(across / (1.7 * half)).powi(2)).exp();
            [1.0 - 0.18 * dark, 1.0 - 0.4 * dark]
        });
        self.canvas.paint(bounds, Some(WIRE), |x, y| {
            let (t, across) = place(x, y);
            if tear(t) {
                return None;
            }
            let depth_um = (half - across.abs()).min(ends(t));
            // Steep above the ball, level at the top of the loop, falling gently to the wedge.
            let rise = if t < 0.12 { 1.1 * (1.0 - t / 0.12) } else { 0.28 * ((t - 0.12) / 0.88).powi(2) };
            let round = (across / half).clamp(-1.0, 1.0).asin();
            let tilt = (round.cos() * rise.cos()).clamp(-1.0, 1.0).acos();
            Some(Paint { depth_um, light: shiny(0.9, tilt) })
        });
    }
}

const _: () = assert!(CLASSES.len() == EPOXY + 1);

//! Simple copies of unit rows, and bounds on the errors of scores taken from them.
//!
//! With `x` a unit row and `m` the mean of all rows or zero, `x' = x - m` is rounded to `x~`, and the same for a query `q`. A score less `q.m`, which is the same
//! for every row, is `q'.x' + m.x'`, and by Cauchy and Schwarz
//!
//! `|q'.x' - q~.x~| <= |q~||x' - x~| + |q' - q~||x'|`.
//!
//! To that comes what a scan would round that adds the products in f32, or turns a sum of integers into f32, and the rounding of `m.x'` and of the value to f32. Bounds are of
//! single rows; a scan keeps those of the widest row of a bin.

use aoi_retrieval::BoundedScores;
use aoi_retrieval::ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, s};
use half::{bf16, f16};

/// Rows coded together.
const BLOCK: usize = 2048;
/// Largest code of eight bits.
const LARGEST: f64 = 127.0;

/// How a row is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Eight bits with one step for all rows; a query has its own.
    Int8OneStep,
    /// Eight bits with a step for each row.
    Int8,
    Bf16,
    F16,
    F32,
}

/// A kind of copy: how rows are rounded, and whether the mean is taken from them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    form: Form,
    centred: bool,
}

/// Unit rows and their mean.
pub struct Unit<'a> {
    /// Rows of length 1, `[n, d]`.
    pub rows: ArrayView2<'a, f64>,
    /// Mean of the bank's rows, `[d]`.
    pub centre: &'a Array1<f64>,
}

impl Kind {
    /// The f32 rows that are scanned where there is no copy; the centred f32 numbers are made during the scan.
    pub const F32: Self = Self { form: Form::F32, centred: true };

    /// Every kind that is coded here.
    pub const ALL: [Self; 8] = [
        Self { form: Form::Int8OneStep, centred: false },
        Self { form: Form::Int8, centred: false },
        Self { form: Form::Int8, centred: true },
        Self { form: Form::Bf16, centred: false },
        Self { form: Form::Bf16, centred: true },
        Self { form: Form::F16, centred: false },
        Self { form: Form::F16, centred: true },
        Self::F32,
    ];

    /// The kind in words.
    pub fn name(self) -> &'static str {
        match (self.form, self.centred) {
            (Form::Int8OneStep, false) => "int8, one step",
            (Form::Int8OneStep, true) => "int8, one step, mean removed",
            (Form::Int8, false) => "int8, a step per row",
            (Form::Int8, true) => "int8, a step per row, mean removed",
            (Form::Bf16, false) => "bf16",
            (Form::Bf16, true) => "bf16, mean removed",
            (Form::F16, false) => "f16",
            (Form::F16, true) => "f16, mean removed",
            (Form::F32, false) => "f32",
            (Form::F32, true) => "f32, mean removed",
        }
    }

    /// Bytes of the codes, the step and the bias of a row.
    pub fn row_bytes(self, width: usize) -> usize {
        let codes = match self.form {
            Form::Int8OneStep => width,
            Form::Int8 => width + 4,
            Form::Bf16 | Form::F16 => 2 * width,
            Form::F32 => 4 * width,
        };
        codes + if self.centred { 4 } else { 0 }
    }

    /// What a scan's arithmetic rounds, relative to `|q~||x~|`: d products and sums of f32 with the same room as in the search's own f32 scan, or a
    /// few roundings of an exact sum of integers.
    fn arithmetic(self, width: usize) -> f64 {
        match self.form {
            Form::Int8OneStep | Form::Int8 => 2.0_f64.powi(-20),
            Form::Bf16 | Form::F16 | Form::F32 => 1.02 * (width + 32) as f64 * 2.0_f64.powi(-24),
        }
    }
}

/// Rows of length 1 in f64; a zero row stays zero.
pub fn unit_rows(rows: &Array2<f32>) -> Array2<f64> {
    let mut unit = rows.mapv(f64::from);
    for mut row in unit.outer_iter_mut() {
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 {
            row /= norm;
        }
    }
    unit
}

/// Some coded rows, and what the bound needs of each.
struct Coded {
    /// `x~`, `[b, d]`.
    values: Array2<f64>,
    /// `|x'|`.
    lengths: Vec<f64>,
    /// `|x' - x~|`.
    residuals: Vec<f64>,
    /// `|x~|`.
    rounded_lengths: Vec<f64>,
    /// `m.x'`.
    biases: Vec<f64>,
}

fn length(row: &ArrayView1<'_, f64>) -> f64 {
    row.dot(row).sqrt()
}

fn largest(row: &ArrayView1<'_, f64>) -> f64 {
    row.iter().fold(0.0, |most, x| x.abs().max(most))
}

impl Coded {
    /// Codes rows, with the step given or one of their own.
    fn new(kind: Kind, rows: &ArrayView2<'_, f64>, centre: &Array1<f64>, step: Option<f64>) -> Self {
        let exact = if kind.centred { rows - centre } else { rows.to_owned() };
        let mut values = exact.clone();
        for row in values.outer_iter_mut() {
            round(kind.form, row, step);
        }
        let residuals = (&exact - &values).outer_iter().map(|x| length(&x)).collect();
        let biases = exact.outer_iter().map(|x| if kind.centred { x.dot(centre) } else { 0.0 }).collect();
        Self {
            lengths: exact.outer_iter().map(|x| length(&x)).collect(),
            rounded_lengths: values.outer_iter().map(|x| length(&x)).collect(),
            values,
            residuals,
            biases,
        }
    }
}

/// Rounds a row to what its codes stand for.
#[expect(clippy::cast_possible_truncation, reason = "rounding is the point")]
fn round(form: Form, mut row: ArrayViewMut1<'_, f64>, step: Option<f64>) {
    match form {
        Form::Int8OneStep | Form::Int8 => {
            let step = step.unwrap_or_else(|| largest(&row.view()) / LARGEST);
            if step > 0.0 {
                row.mapv_inplace(|x| (x / step).round_ties_even().clamp(-LARGEST, LARGEST) * step);
            }
        }
        Form::Bf16 => row.mapv_inplace(|x| f64::from(bf16::from_f64(x))),
        Form::F16 => row.mapv_inplace(|x| f64::from(f16::from_f64(x))),
        Form::F32 => row.mapv_inplace(|x| f64::from(x as f32)),
    }
}

/// Approximate scores of every row of a bank `[n, d]` for every query `[q, d]`, with bounds.
#[expect(clippy::cast_possible_truncation, reason = "the bound counts this rounding")]
pub fn approximate(kind: Kind, bank: &Unit<'_>, queries: &Unit<'_>) -> BoundedScores {
    let (n, width) = bank.rows.dim();
    let step = (kind.form == Form::Int8OneStep)
        .then(|| bank.rows.outer_iter().map(|x| largest(&x)).fold(0.0, f64::max) / LARGEST);
    let asked = Coded::new(kind, &queries.rows, queries.centre, None);
    let shape = (queries.rows.nrows(), n);
    let mut found = BoundedScores { values: Array2::zeros(shape), errors: Array2::zeros(shape) };
    let arithmetic = kind.arithmetic(width);
    for first in (0..n).step_by(BLOCK) {
        let part = first..n.min(first + BLOCK);
        let coded = Coded::new(kind, &bank.rows.slice(s![part.clone(), ..]), bank.centre, step);
        let products = asked.values.dot(&coded.values.t());
        for ((q, i), product) in products.indexed_iter() {
            let value = product + coded.biases[i];
            let error = asked.rounded_lengths[q] * coded.residuals[i]
                + asked.residuals[q] * coded.lengths[i]
                + arithmetic * asked.rounded_lengths[q] * coded.rounded_lengths[i]
                + (value.abs() + coded.biases[i].abs()) * 2.0_f64.powi(-22);
            let at = [q, part.start + i];
            found.values[at] = value as f32;
            // The bound itself is worked out in f64, which rounds far less than this adds.
            found.errors[at] = ((error * (1.0 + 1e-9)) as f32).next_up();
        }
    }
    found
}

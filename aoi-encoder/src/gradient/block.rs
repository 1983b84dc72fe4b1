//! One block: attention and feed-forward network, each behind a norm, each added to its input.

use std::ops::Range;

use super::attention::{Attention, AttentionScratch};
use super::feedforward::{Feedforward, FeedforwardScratch};
use super::scalar::fit;
use super::{Norm, Scalar};
use crate::{Config, Precision, Table};

/// `x += s1 * attention(norm1(x)); x += s2 * feedforward(norm2(x))`, the scales where the architecture has them.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    norm1: Norm,
    attention: Attention,
    scale1: Option<Range<usize>>,
    norm2: Norm,
    feedforward: Feedforward,
    scale2: Option<Range<usize>>,
    width: usize,
}

/// What the backward of one block needs besides the block's input.
#[derive(Debug, Default)]
pub(crate) struct Kept<T> {
    /// Queries, keys and values, \[n, 3 d\].
    qkv: Vec<T>,
    /// The heads' outputs, \[n, d\].
    mixed: Vec<T>,
    /// The tokens between the two branches, \[n, d\].
    middle: Vec<T>,
    /// The first feed-forward layer's output, \[n, rows of W1\].
    hidden: Vec<T>,
    /// The branches before their scales, \[n, d\]; empty without scales.
    branches: [Vec<T>; 2],
}

/// Scratch of one thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch<T> {
    normed: Vec<T>,
    branch: Vec<T>,
    dnormed: Vec<T>,
    dqkv: Vec<T>,
    attention: AttentionScratch<T>,
    feedforward: FeedforwardScratch<T>,
}

impl Block {
    /// The block whose tensors start with `name`.
    pub(crate) fn new(table: &Table, name: &str, config: &Config) -> Self {
        let part = |part: &str| format!("{name}.{part}");
        let scale = |which: &str| table.get(&part(which)).map(crate::Tensor::range);
        Self {
            norm1: Norm::new(table, &part("norm1"), config.norm_epsilon),
            attention: Attention::new(table, &part("attention"), config),
            scale1: scale("scale1"),
            norm2: Norm::new(table, &part("norm2"), config.norm_epsilon),
            feedforward: Feedforward::new(table, &part("mlp"), config),
            scale2: scale("scale2"),
            width: config.width,
        }
    }

    /// Makes its products of such numbers.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.attention.set_precision(precision);
        self.feedforward.set_precision(precision);
    }

    /// # Shapes
    /// `x` \[b * t, d\], in place.
    pub(crate) fn forward<T: Scalar>(
        &self,
        p: &[T],
        tokens: usize,
        x: &mut [T],
        kept: &mut Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let n = x.len() / self.width;
        let normed = fit(&mut scratch.normed, x.len());
        let branch = fit(&mut scratch.branch, x.len());
        self.norm1.forward(p, x, normed);
        let qkv = fit(&mut kept.qkv, 3 * x.len());
        self.attention.qkv.forward(p, normed, qkv);
        let mixed = fit(&mut kept.mixed, x.len());
        self.attention.mix(tokens, qkv, mixed, &mut scratch.attention);
        self.attention.out.forward(p, mixed, branch);
        add_branch(x, branch, self.scale1.as_ref().map(|s| &p[s.clone()]), &mut kept.branches[0]);
        fit(&mut kept.middle, x.len()).copy_from_slice(x);
        self.norm2.forward(p, x, normed);
        let hidden = fit(&mut kept.hidden, n * self.feedforward.hidden_rows());
        self.feedforward.forward(p, normed, (hidden, branch), &mut scratch.feedforward);
        add_branch(x, branch, self.scale2.as_ref().map(|s| &p[s.clone()]), &mut kept.branches[1]);
    }

    /// From the output's gradient to the input's. A sum passes its gradient on to both terms: dx stays for the skipped path, and what comes
    /// back through the branch is added to it.
    ///
    /// # Shapes
    /// `x` \[b * t, d\], the block's input; `dx` \[b * t, d\], in place.
    pub(crate) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        tokens: usize,
        (x, kept): (&[T], &Kept<T>),
        dx: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let Kept { qkv, mixed, middle, hidden, branches } = kept;
        let normed = fit(&mut scratch.normed, x.len());
        let dbranch = fit(&mut scratch.branch, x.len());
        let dnormed = fit(&mut scratch.dnormed, x.len());
        branch_backward((p, g), dx, self.scale2.as_ref(), &branches[1], dbranch);
        self.norm2.forward(p, middle, normed);
        self.feedforward.backward(p, g, (normed, hidden), dbranch, dnormed, &mut scratch.feedforward);
        self.norm2.backward(p, g, middle, dnormed, dx);

        branch_backward((p, g), dx, self.scale1.as_ref(), &branches[0], dbranch);
        let dmixed = &mut *dnormed;
        self.attention.out.backward(p, g, mixed, dbranch, Some(dmixed));
        let dqkv = fit(&mut scratch.dqkv, qkv.len());
        self.attention.mix_backward(tokens, (qkv, mixed), dmixed, dqkv, &mut scratch.attention);
        self.norm1.forward(p, x, normed);
        self.attention.qkv.backward(p, g, normed, dqkv, Some(dnormed));
        self.norm1.backward(p, g, x, dnormed, dx);
    }
}

/// `x += scale * branch`; the branch is kept where there is a scale.
fn add_branch<T: Scalar>(x: &mut [T], branch: &[T], scale: Option<&[T]>, kept: &mut Vec<T>) {
    let Some(scale) = scale else {
        x.iter_mut().zip(branch).for_each(|(x, &b)| *x += b);
        return;
    };
    for (x, b) in x.chunks_exact_mut(scale.len()).zip(branch.chunks_exact(scale.len())) {
        x.iter_mut().zip(b.iter().zip(scale)).for_each(|(x, (&b, &s))| *x += s * b);
    }
    fit(kept, branch.len()).copy_from_slice(branch);
}

/// y = x + s b gives `db = s dy` and `ds += sum_n dy b`.
fn branch_backward<T: Scalar>(
    (p, g): (&[T], &mut [T]),
    dy: &[T],
    scale: Option<&Range<usize>>,
    branch: &[T],
    dbranch: &mut [T],
) {
    let Some(scale) = scale else {
        dbranch.copy_from_slice(dy);
        return;
    };
    let (s, ds) = (&p[scale.clone()], &mut g[scale.clone()]);
    for ((dbranch, dy), b) in
        dbranch.chunks_exact_mut(s.len()).zip(dy.chunks_exact(s.len())).zip(branch.chunks_exact(s.len()))
    {
        for (((db, &dy), &b), (&s, ds)) in dbranch.iter_mut().zip(dy).zip(b).zip(s.iter().zip(ds.iter_mut()))
        {
            *db = s * dy;
            *ds += dy * b;
        }
    }
}

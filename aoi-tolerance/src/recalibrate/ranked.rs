//! A multiset of numbers that knows the rank of each: insert, delete, k-th smallest and counting below, each in O(log n).
//!
//! A B+ tree whose branches carry the number of values below them. A sorted vector does the same in O(n), since it has to move what stands
//! behind; the bench `live/ranked` puts the two side by side. Order and equality are those of [`f64::total_cmp`], so that -0.0 and 0.0 are two values
//! and a value is deleted bit for bit.

use crate::limit::Boundary;
use crate::sample::Ascending;

/// Values in a leaf, at most.
const LEAF: usize = 256;
/// Branches of an inner node, at most.
const FAN: usize = 32;

/// Finite numbers in ascending order; see the module's page.
///
/// # Examples
/// ```
/// use aoi_tolerance::recalibrate::Ranked;
/// let mut ranked: Ranked = [35.0, 28.0, 32.0].into_iter().collect();
/// ranked.insert(30.0);
/// assert!(ranked.remove(28.0) && !ranked.remove(28.0));
/// assert_eq!((ranked.len(), ranked.get(0), ranked.get(3)), (3, Some(30.0), None));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ranked {
    root: Option<Branch>,
}

/// A subtree, never empty.
#[derive(Debug, Clone)]
struct Branch {
    node: Node,
    len: usize,
    first: f64,
}

#[derive(Debug, Clone)]
enum Node {
    Leaf(Vec<f64>),
    Inner(Vec<Branch>),
}

impl Ranked {
    /// An empty multiset.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many values there are, copies counted.
    pub fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Adds one value.
    pub fn insert(&mut self, value: f64) {
        let Some(mut root) = self.root.take() else {
            self.root = Some(Branch::leaf(vec![value]));
            return;
        };
        let split = root.insert(value);
        self.root = Some(match split {
            Some(right) => Branch::inner(vec![root, right]),
            None => root,
        });
    }

    /// Takes one copy of `value` away; whether there was one.
    pub fn remove(&mut self, value: f64) -> bool {
        let Some(mut root) = self.root.take() else { return false };
        let removed = root.remove(value);
        while let Node::Inner(branches) = &mut root.node
            && branches.len() == 1
        {
            root = branches.remove(0);
        }
        self.root = (root.len > 0).then_some(root);
        removed
    }

    /// The value of rank `index`, the smallest being 0.
    pub fn get(&self, mut index: usize) -> Option<f64> {
        let mut branch = self.root.as_ref()?;
        loop {
            match &branch.node {
                Node::Leaf(values) => return values.get(index).copied(),
                Node::Inner(branches) => {
                    branch = branches.iter().find(|b| {
                        let here = index < b.len;
                        if !here {
                            index -= b.len;
                        }
                        here
                    })?;
                }
            }
        }
    }

    /// The largest value.
    pub fn last(&self) -> Option<f64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// How many values come before the first for which `holds` fails; it must hold for a beginning of the order and for nothing after.
    pub fn count_while(&self, holds: impl Fn(f64) -> bool) -> usize {
        let Some(mut branch) = self.root.as_ref() else { return 0 };
        let mut before = 0;
        loop {
            match &branch.node {
                Node::Leaf(values) => return before + values.partition_point(|v| holds(*v)),
                Node::Inner(branches) => {
                    // Where it holds for the first value of a branch, it holds for the whole branch before.
                    let reached = branches.partition_point(|b| holds(b.first));
                    let Some(last) = reached.checked_sub(1) else { return 0 };
                    before += branches[..last].iter().map(|b| b.len).sum::<usize>();
                    branch = &branches[last];
                }
            }
        }
    }

    /// Calls `each` with every value, ascending.
    pub fn for_each(&self, mut each: impl FnMut(f64)) {
        if let Some(root) = &self.root {
            root.for_each(&mut each);
        }
    }

    /// All values, ascending.
    pub fn to_vec(&self) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.len());
        self.for_each(|v| values.push(v));
        values
    }
}

impl FromIterator<f64> for Ranked {
    /// Sorts once and packs the nodes: for many values several times faster than inserting them.
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        // Three quarters full: room to insert before the first split.
        let mut level: Vec<Branch> =
            values.chunks(LEAF * 3 / 4).map(|chunk| Branch::leaf(chunk.to_vec())).collect();
        while level.len() > 1 {
            let mut above = Vec::with_capacity(level.len() / FAN + 1);
            let mut rest = level.into_iter().peekable();
            while rest.peek().is_some() {
                above.push(Branch::inner(rest.by_ref().take(FAN * 3 / 4).collect()));
            }
            level = above;
        }
        Self { root: level.pop() }
    }
}

impl Branch {
    fn leaf(values: Vec<f64>) -> Self {
        Self { len: values.len(), first: values[0], node: Node::Leaf(values) }
    }

    fn inner(branches: Vec<Self>) -> Self {
        Self {
            len: branches.iter().map(|b| b.len).sum(),
            first: branches[0].first,
            node: Node::Inner(branches),
        }
    }

    /// Adds a value; the right half, where the node had to be split.
    fn insert(&mut self, value: f64) -> Option<Self> {
        self.len += 1;
        if value.total_cmp(&self.first).is_lt() {
            self.first = value;
        }
        match &mut self.node {
            Node::Leaf(values) => {
                let at = values.partition_point(|v| v.total_cmp(&value).is_le());
                values.insert(at, value);
            }
            Node::Inner(branches) => {
                let at = branch_of(branches, value);
                if let Some(right) = branches[at].insert(value) {
                    branches.insert(at + 1, right);
                }
            }
        }
        self.split()
    }

    /// Cuts an overfull node in two and gives the right half.
    fn split(&mut self) -> Option<Self> {
        let right = match &mut self.node {
            Node::Leaf(values) if values.len() > LEAF => Self::leaf(values.split_off(values.len() / 2)),
            Node::Inner(branches) if branches.len() > FAN => {
                Self::inner(branches.split_off(branches.len() / 2))
            }
            _ => return None,
        };
        self.len -= right.len;
        Some(right)
    }

    /// Takes a value away; the node may be empty afterwards.
    fn remove(&mut self, value: f64) -> bool {
        match &mut self.node {
            Node::Leaf(values) => {
                let Ok(at) = values.binary_search_by(|v| v.total_cmp(&value)) else { return false };
                values.remove(at);
                self.first = values.first().copied().unwrap_or(value);
            }
            Node::Inner(branches) => {
                let at = branch_of(branches, value);
                if !branches[at].remove(value) {
                    return false;
                }
                if branches[at].len == 0 {
                    branches.remove(at);
                } else if branches[at].is_sparse() && branches.len() > 1 {
                    let left = at.saturating_sub(1);
                    let right = branches.remove(left + 1);
                    branches[left].append(right);
                    if let Some(right) = branches[left].split() {
                        branches.insert(left + 1, right);
                    }
                }
                self.first = branches.first().map_or(value, |b| b.first);
            }
        }
        self.len -= 1;
        true
    }

    /// Less than a quarter full.
    fn is_sparse(&self) -> bool {
        match &self.node {
            Node::Leaf(values) => values.len() < LEAF / 4,
            Node::Inner(branches) => branches.len() < FAN / 4,
        }
    }

    /// Takes in the neighbour to the right, which is of the same height.
    fn append(&mut self, right: Self) {
        self.len += right.len;
        match (&mut self.node, right.node) {
            (Node::Leaf(mine), Node::Leaf(theirs)) => mine.extend(theirs),
            (Node::Inner(mine), Node::Inner(theirs)) => mine.extend(theirs),
            _ => unreachable!("all leaves are equally deep"),
        }
    }

    fn for_each(&self, each: &mut impl FnMut(f64)) {
        match &self.node {
            Node::Leaf(values) => values.iter().for_each(|v| each(*v)),
            Node::Inner(branches) => branches.iter().for_each(|b| b.for_each(each)),
        }
    }
}

/// The branch that holds `value` if any does, and the one to insert it into: the last that does not start above it.
fn branch_of(branches: &[Branch], value: f64) -> usize {
    branches.partition_point(|b| b.first.total_cmp(&value).is_le()).saturating_sub(1)
}

impl Ascending for &Ranked {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> f64 {
        self.get(index).unwrap_or(f64::NAN)
    }

    fn flagged_by(&self, limit: f64, boundary: Boundary) -> u64 {
        self.count_while(|v| boundary.flags_below(v, limit)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Every branch's count, first value and fill, from the leaves up; gives the height.
    fn check(branch: &Branch) -> usize {
        match &branch.node {
            Node::Leaf(values) => {
                assert!(!values.is_empty() && values.len() <= LEAF);
                assert!(values.is_sorted_by(|a, b| a.total_cmp(b).is_le()));
                assert_eq!((branch.len, branch.first.to_bits()), (values.len(), values[0].to_bits()));
                0
            }
            Node::Inner(branches) => {
                assert!(!branches.is_empty() && branches.len() <= FAN);
                assert_eq!(branch.len, branches.iter().map(|b| b.len).sum::<usize>());
                assert_eq!(branch.first.to_bits(), branches[0].first.to_bits());
                let heights: Vec<usize> = branches.iter().map(check).collect();
                assert!(heights.windows(2).all(|h| h[0] == h[1]), "leaves equally deep");
                heights[0] + 1
            }
        }
    }

    fn agree(ranked: &Ranked, oracle: &[f64], probe: f64) {
        let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&ranked.to_vec()), bits(oracle));
        assert_eq!(ranked.len(), oracle.len());
        assert_eq!(ranked.is_empty(), oracle.is_empty());
        for k in [0, oracle.len() / 3, oracle.len() / 2, oracle.len().saturating_sub(1), oracle.len()] {
            assert_eq!(ranked.get(k).map(f64::to_bits), oracle.get(k).map(|x| x.to_bits()), "rank {k}");
        }
        assert_eq!(ranked.last().map(f64::to_bits), oracle.last().map(|x| x.to_bits()));
        assert_eq!(ranked.count_while(|v| v < probe), oracle.iter().filter(|v| **v < probe).count());
        assert_eq!(ranked.count_while(|v| v <= probe), oracle.iter().filter(|v| **v <= probe).count());
        if let Some(root) = &ranked.root {
            check(root);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Thousands of inserts and deletes over few distinct values, so that ties fill whole leaves; the oracle is a sorted vector.
        #[test]
        fn it_is_a_sorted_vector(
            start in vec(0_u32..400, 0..3000),
            steps in vec((any::<bool>(), 0_u32..400), 0..4000),
            grow in any::<bool>(),
        ) {
            let value = |n: u32| if n == 0 { -0.0 } else { f64::from(n - 1) / 8.0 };
            let mut oracle: Vec<f64> = start.iter().map(|n| value(*n)).collect();
            let mut ranked: Ranked = oracle.iter().copied().collect();
            oracle.sort_by(f64::total_cmp);
            for (i, (flip, n)) in steps.iter().enumerate() {
                let v = value(*n);
                let at = oracle.partition_point(|x| x.total_cmp(&v).is_lt());
                if *flip == grow {
                    oracle.insert(at, v);
                    ranked.insert(v);
                } else {
                    let there = oracle.get(at).is_some_and(|x| x.to_bits() == v.to_bits());
                    assert_eq!(ranked.remove(v), there);
                    if there {
                        oracle.remove(at);
                    }
                }
                if i % 500 == 0 {
                    agree(&ranked, &oracle, v);
                }
            }
            agree(&ranked, &oracle, 7.0);
        }
    }

    #[test]
    fn a_hundred_thousand_values_come_and_go_in_any_order() {
        let mut random = aoi_testing::Seeded::new(5);
        let mut values: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mut ranked = Ranked::new();
        for v in &values {
            ranked.insert(*v);
        }
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        agree(&ranked, &sorted, 0.3);
        for i in (1..values.len()).rev() {
            values.swap(i, random.below(i + 1));
        }
        for v in values.drain(..99_000) {
            assert!(ranked.remove(v));
        }
        values.sort_by(f64::total_cmp);
        agree(&ranked, &values, -0.2);
        assert!(check(ranked.root.as_ref().unwrap()) <= 2, "a tree that shrank is not deep");
        for v in values {
            assert!(ranked.remove(v));
        }
        assert!(ranked.is_empty() && ranked.get(0).is_none() && !ranked.remove(1.0));
    }
}

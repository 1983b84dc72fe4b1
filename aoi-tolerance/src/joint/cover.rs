//! The choice behind joint limits, as whole numbers: which limit rises to which level, so that every fault is held and as few instances
//! as possible are flagged again.
//!
//! A fault is held by any one of its limits, an instance is released only if all of its limits let it go: a weighted hitting set, which
//! no known method solves in polynomial time. Independent groups of limits are solved one by one, each by branch and bound: exact where
//! the search ends within [`SEARCH_NODES`], and else the best found, with a bound on what the optimum could be.

use std::cmp::Reverse;

/// Nodes that the search of one group may open; then it settles for the best it has.
pub(crate) const SEARCH_NODES: u64 = 50_000;

/// A limit and one of its levels. Level 0 is the floor; a higher level flags more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level {
    pub(crate) limit: usize,
    pub(crate) level: usize,
}

/// The question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cover {
    /// How many levels above the floor each limit has.
    pub(crate) heights: Vec<usize>,
    /// Per fault: the least level of each limit that holds it, one of which must be reached; no level is 0.
    pub(crate) faults: Vec<Vec<Level>>,
    /// Per instance: the least level of each limit that flags it, none of which may be reached if it is to be released; no level is 0.
    pub(crate) instances: Vec<Vec<Level>>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The level of each limit.
    pub(crate) levels: Vec<usize>,
    /// Instances released.
    pub(crate) released: u64,
    /// No choice releases more than this; equal to `released` where the search was exhausted.
    pub(crate) at_most: u64,
}

impl Cover {
    /// The best choice found; of equally good ones the same for the same question.
    pub(crate) fn solve(&self, nodes: u64) -> Choice {
        let mut choice = Choice { levels: vec![0; self.heights.len()], released: 0, at_most: 0 };
        let groups = self.groups();
        let mut searches: Vec<Search> = Vec::new();
        let mut place_of_group = vec![usize::MAX; groups.len()];
        // Where each limit is known: its group's search, and its number there.
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(groups.len());
        for (limit, &group) in groups.iter().enumerate() {
            if place_of_group[group] == usize::MAX {
                place_of_group[group] = searches.len();
                searches.push(Search::default());
            }
            let search = &mut searches[place_of_group[group]];
            places.push((place_of_group[group], search.limits.len()));
            search.add_limit(limit, self.heights[limit]);
        }
        let local = |rows: &[Level]| -> Vec<Level> {
            rows.iter().map(|row| Level { limit: places[row.limit].1, ..*row }).collect()
        };
        for fault in &self.faults {
            if let Some(first) = fault.first() {
                searches[places[first.limit].0].faults.push(local(fault));
            }
        }
        for instance in &self.instances {
            match instance.first() {
                None => (choice.released, choice.at_most) = (choice.released + 1, choice.at_most + 1),
                Some(first) => searches[places[first.limit].0].add_instance(&local(instance)),
            }
        }
        for mut search in searches {
            let (levels, released, at_most) = search.run(nodes);
            for (&limit, level) in search.limits.iter().zip(levels) {
                choice.levels[limit] = level;
            }
            choice.released += released;
            choice.at_most += at_most;
        }
        choice
    }

    /// The group of each limit: limits that share a fault or an instance are decided together.
    fn groups(&self) -> Vec<usize> {
        fn root(parent: &mut [usize], mut at: usize) -> usize {
            while parent[at] != at {
                parent[at] = parent[parent[at]];
                at = parent[at];
            }
            at
        }
        let mut parent: Vec<usize> = (0..self.heights.len()).collect();
        for together in self.faults.iter().chain(&self.instances) {
            for pair in together.windows(2) {
                let (a, b) = (root(&mut parent, pair[0].limit), root(&mut parent, pair[1].limit));
                parent[a.max(b)] = a.min(b);
            }
        }
        (0..parent.len()).map(|limit| root(&mut parent, limit)).collect()
    }
}

/// The search over one group: depth first, the fault with the fewest holders first, the cheapest holder first.
#[derive(Default)]
struct Search {
    /// Its limits; everywhere else in the search a limit is its place in this list.
    limits: Vec<usize>,
    faults: Vec<Vec<Level>>,
    /// `flags[limit][level - 1]`: the instances that the level flags and the one below it does not.
    flags: Vec<Vec<Vec<u32>>>,
    /// Current level of each limit.
    levels: Vec<usize>,
    /// How many limits flag each instance at the current levels.
    flagged: Vec<u32>,
    released: u64,
}

/// A decision on the way down: how a fault can be held, and where the search came from.
struct Node {
    fault: usize,
    holders: Vec<Holder>,
    next: usize,
    /// The level to go back to.
    undo: Option<Level>,
}

/// One way to hold a fault.
#[derive(Clone, Copy)]
struct Holder {
    at: Level,
    /// Instances released if it is taken and nothing else follows.
    released: u64,
}

impl Search {
    fn add_limit(&mut self, limit: usize, height: usize) {
        self.limits.push(limit);
        self.flags.push(vec![Vec::new(); height]);
        self.levels.push(0);
    }

    fn add_instance(&mut self, rows: &[Level]) {
        let number = u32::try_from(self.flagged.len()).expect("fewer than 2^32 instances in memory");
        for row in rows {
            self.flags[row.limit][row.level - 1].push(number);
        }
        self.flagged.push(0);
        self.released += 1;
    }

    /// The level of each limit, instances released, and an upper bound on the optimum.
    fn run(&mut self, nodes: u64) -> (Vec<usize>, u64, u64) {
        self.faults.sort_by_key(Vec::len);
        let mut best: Option<(u64, Vec<usize>)> = None;
        let mut at_most = 0;
        let mut left = nodes;
        let mut path: Vec<Node> = vec![self.open(0, None)];
        while let Some(node) = path.last_mut() {
            let holder = node.holders.get(node.next).copied();
            node.next += 1;
            let (fault, beaten) = (node.fault, best.as_ref().map(|b| b.0));
            match holder {
                // All faults from here on are held.
                _ if fault == self.faults.len() => {
                    if beaten.is_none_or(|b| self.released > b) {
                        best = Some((self.released, self.levels.clone()));
                    }
                    self.back(&mut path);
                }
                // Holders come cheapest first: none that follows can do better.
                Some(holder) if beaten.is_some_and(|b| holder.released <= b) => self.back(&mut path),
                // Out of nodes, with an answer in hand: what was not looked at may be as good as its bound.
                Some(holder) if left == 0 && best.is_some() => {
                    at_most = at_most.max(holder.released);
                    self.back(&mut path);
                }
                Some(Holder { at, .. }) => {
                    left = left.saturating_sub(1);
                    let undo = Level { level: self.levels[at.limit], ..at };
                    self.rise(at);
                    let next = self.open(fault + 1, Some(undo));
                    path.push(next);
                }
                None => self.back(&mut path),
            }
        }
        let (released, levels) = best.unwrap_or_default();
        (self.without_excess(levels), released, at_most.max(released))
    }

    /// The next fault that nothing holds yet, from `fault` on, and how it can be held: cheapest first, then the first limit by key.
    fn open(&self, fault: usize, undo: Option<Level>) -> Node {
        let held = |levels: &Vec<Level>| levels.iter().any(|h| self.levels[h.limit] >= h.level);
        let skip = self.faults[fault..].iter().take_while(|f| held(f)).count();
        let fault = fault + skip;
        let mut holders: Vec<Holder> = self.faults.get(fault).map_or_else(Vec::new, |f| {
            f.iter().map(|&at| Holder { at, released: self.released - self.cost(at) }).collect()
        });
        holders.sort_by_key(|h| (Reverse(h.released), h.at));
        Node { fault, holders, next: 0, undo }
    }

    /// Instances that are flagged again if a limit rises.
    fn cost(&self, to: Level) -> u64 {
        let newly = self.flags[to.limit][self.levels[to.limit]..to.level].iter().flatten();
        newly.filter(|i| self.flagged[**i as usize] == 0).count() as u64
    }

    fn rise(&mut self, to: Level) {
        for level in self.levels[to.limit]..to.level {
            for &i in &self.flags[to.limit][level] {
                self.released -= u64::from(self.flagged[i as usize] == 0);
                self.flagged[i as usize] += 1;
            }
        }
        self.levels[to.limit] = to.level;
    }

    /// Leaves the last node of the path and takes its step back.
    fn back(&mut self, path: &mut Vec<Node>) {
        let Some(Some(undo)) = path.pop().map(|node| node.undo) else { return };
        for level in undo.level..self.levels[undo.limit] {
            for &i in &self.flags[undo.limit][level] {
                self.flagged[i as usize] -= 1;
                self.released += u64::from(self.flagged[i as usize] == 0);
            }
        }
        self.levels[undo.limit] = undo.level;
    }

    /// Lets every limit, the last by key first, down to the least level at which all faults are still held.
    fn without_excess(&self, mut levels: Vec<usize>) -> Vec<usize> {
        let mut holding: Vec<Vec<usize>> = vec![Vec::new(); levels.len()];
        for (i, fault) in self.faults.iter().enumerate() {
            for h in fault {
                holding[h.limit].push(i);
            }
        }
        for limit in (0..levels.len()).rev().filter(|&l| !holding[l].is_empty()) {
            let alone =
                |fault: &&Vec<Level>| !fault.iter().any(|h| h.limit != limit && levels[h.limit] >= h.level);
            let needed = |fault: &Vec<Level>| fault.iter().find(|h| h.limit == limit).map_or(0, |h| h.level);
            let faults = holding[limit].iter().map(|&i| &self.faults[i]);
            levels[limit] = faults.filter(alone).map(needed).max().unwrap_or(0);
        }
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    /// Every combination of levels: the definition.
    fn by_trying_all(cover: &Cover) -> Option<u64> {
        let mut levels = vec![0; cover.heights.len()];
        let mut best = None;
        loop {
            let reached = |l: &Level| levels[l.limit] >= l.level;
            if cover.faults.iter().all(|f| f.iter().any(reached)) {
                let released = cover.instances.iter().filter(|i| !i.iter().any(reached)).count() as u64;
                best = best.max(Some(released));
            }
            let Some(at) = (0..levels.len()).find(|&l| levels[l] < cover.heights[l]) else { return best };
            levels[at] += 1;
            levels[..at].fill(0);
        }
    }

    fn drawn(random: &mut Seeded) -> Cover {
        let limits = 1 + random.below(4);
        let heights: Vec<usize> = (0..limits).map(|_| 1 + random.below(3)).collect();
        let rows = |least: usize, random: &mut Seeded| -> Vec<Level> {
            let mut rows = Vec::new();
            for (limit, height) in heights.iter().enumerate() {
                if random.below(2) == 0 {
                    rows.push(Level { limit, level: 1 + random.below(*height) });
                }
            }
            if rows.len() < least { vec![Level { limit: 0, level: 1 }] } else { rows }
        };
        let faults = (0..random.below(6)).map(|_| rows(1, random)).collect();
        let instances = (0..random.below(12)).map(|_| rows(0, random)).collect();
        Cover { heights, faults, instances }
    }

    fn is_held(cover: &Cover, levels: &[usize]) -> bool {
        cover.faults.iter().all(|f| f.iter().any(|h| levels[h.limit] >= h.level))
    }

    fn released(cover: &Cover, levels: &[usize]) -> u64 {
        let flagged = |i: &&Vec<Level>| i.iter().any(|l| levels[l.limit] >= l.level);
        cover.instances.len() as u64 - cover.instances.iter().filter(flagged).count() as u64
    }

    #[test]
    fn the_search_finds_what_trying_everything_finds() {
        let mut random = Seeded::new(5);
        let mut hard = 0;
        for _ in 0..3_000 {
            let cover = drawn(&mut random);
            let choice = cover.solve(SEARCH_NODES);
            assert!(is_held(&cover, &choice.levels), "{cover:?} {choice:?}");
            assert_eq!(released(&cover, &choice.levels), choice.released, "{cover:?} {choice:?}");
            assert_eq!(Some(choice.released), by_trying_all(&cover), "{cover:?}");
            assert_eq!(choice.released, choice.at_most);
            hard += u64::from(choice.released < cover.instances.len() as u64);
        }
        assert!(hard > 500, "{hard}");
    }

    #[test]
    fn a_search_cut_short_still_holds_every_fault_and_bounds_the_optimum() {
        let mut random = Seeded::new(6);
        let mut open = 0;
        for _ in 0..3_000 {
            let cover = drawn(&mut random);
            let optimum = by_trying_all(&cover).unwrap();
            for nodes in [0, 1, 2, 4] {
                let choice = cover.solve(nodes);
                assert!(is_held(&cover, &choice.levels), "{cover:?} {choice:?}");
                assert!(choice.released <= optimum && optimum <= choice.at_most, "{cover:?} {choice:?}");
                open += u64::from(choice.released < choice.at_most);
            }
        }
        assert!(open > 100, "{open}");
    }

    #[test]
    fn of_two_equal_holders_the_first_by_key_holds() {
        let fault = vec![Level { limit: 0, level: 1 }, Level { limit: 1, level: 1 }];
        let cover = Cover { heights: vec![1, 1], faults: vec![fault], instances: Vec::new() };
        assert_eq!(cover.solve(SEARCH_NODES).levels, [1, 0]);
    }

    #[test]
    fn a_hundred_thousand_faults_need_no_deep_stack() {
        let fault = |i: usize| vec![Level { limit: 0, level: i + 1 }, Level { limit: 1, level: 100_000 - i }];
        let faults = (0..100_000).map(fault).collect();
        let cover = Cover { heights: vec![100_000, 100_000], faults, instances: Vec::new() };
        assert!(is_held(&cover, &cover.solve(10).levels));
    }
}

//! Which component is which: the assignment with the smallest sum of distances.
//!
//! # Source
//! Shortest augmenting paths with potentials: Kuhn 1955, Munkres 1957, in the form of Jonker and Volgenant 1987.

/// For each row the column it is given, at the smallest sum of costs; a row left alone costs its gate, so no cost above it is accepted.
///
/// Of equally cheap assignments the one found first is returned: the same costs give the same answer.
///
/// # Panics
/// When a row of `costs` has another length than the first, or there is not one gate a row.
///
/// # Examples
/// ```
/// use aoi::measure::assign;
/// // Taking the nearest first would leave the second row alone.
/// assert_eq!(assign(&[vec![1.0, 2.0], vec![1.5, 9.0]], &[5.0, 5.0]), [Some(1), Some(0)]);
/// assert_eq!(assign(&[vec![7.0]], &[5.0]), [None]);
/// ```
pub fn assign(costs: &[Vec<f64>], gates: &[f64]) -> Vec<Option<usize>> {
    let rows = costs.len();
    let columns = costs.first().map_or(0, Vec::len);
    assert!(
        costs.iter().all(|row| row.len() == columns) && gates.len() == rows,
        "one cost a pair, one gate a row"
    );
    // Dearer than leaving every row alone, so never part of the cheapest assignment.
    let never = 2.0 * gates.iter().sum::<f64>() + 1.0;
    // Column `columns + i` stands for leaving row i alone.
    let cost = |row: usize, column: usize| match column.checked_sub(columns) {
        Some(alone) if alone == row => gates[row],
        None if costs[row][column] <= gates[row] => costs[row][column],
        _ => never,
    };
    let width = columns + rows;
    let (mut row_price, mut column_price) = (vec![0.0; rows], vec![0.0; width]);
    let mut owner: Vec<Option<usize>> = vec![None; width];
    for start in 0..rows {
        // Dijkstra over columns, with costs reduced by the prices.
        let mut best = vec![f64::INFINITY; width];
        let mut from = vec![None; width];
        let mut done = vec![false; width];
        let (mut row, mut reached) = (start, None);
        let end = loop {
            let base = reached.map_or(0.0, |column: usize| best[column]);
            for column in (0..width).filter(|&c| !done[c]) {
                let reduced = base + cost(row, column) - row_price[row] - column_price[column];
                if reduced < best[column] {
                    best[column] = reduced;
                    from[column] = reached;
                }
            }
            let nearest = (0..width).filter(|&c| !done[c]).min_by(|&a, &b| best[a].total_cmp(&best[b]));
            let Some(nearest) = nearest else { unreachable!("a row can always be left alone") };
            done[nearest] = true;
            reached = Some(nearest);
            match owner[nearest] {
                Some(next) => row = next,
                None => break nearest,
            }
        };
        let total = best[end];
        row_price[start] += total;
        for column in (0..width).filter(|&c| done[c] && c != end) {
            if let Some(row) = owner[column] {
                row_price[row] += total - best[column];
            }
            column_price[column] -= total - best[column];
        }
        // Hand the columns along the path from the free one back to the start.
        let mut column = end;
        while let Some(previous) = from[column] {
            owner[column] = owner[previous];
            column = previous;
        }
        owner[column] = Some(start);
    }
    let mut given = vec![None; rows];
    for (column, owner) in owner.iter().enumerate().take(columns) {
        if let Some(row) = owner {
            given[*row] = Some(column);
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(costs: &[Vec<f64>], gates: &[f64], given: &[Option<usize>]) -> f64 {
        given.iter().enumerate().map(|(row, column)| column.map_or(gates[row], |c| costs[row][c])).sum()
    }

    /// Tries every assignment.
    fn cheapest(costs: &[Vec<f64>], gates: &[f64], row: usize, free: &mut Vec<bool>) -> f64 {
        if row == costs.len() {
            return 0.0;
        }
        let mut best = gates[row] + cheapest(costs, gates, row + 1, free);
        for column in 0..free.len() {
            if free[column] && costs[row][column] <= gates[row] {
                free[column] = false;
                best = best.min(costs[row][column] + cheapest(costs, gates, row + 1, free));
                free[column] = true;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn the_sum_is_the_smallest_of_all(
            (rows, columns) in (0_usize..6, 0_usize..6),
            numbers in proptest::collection::vec(0_u8..40, 36),
            gates in proptest::collection::vec(1_u8..40, 6),
        ) {
            let costs: Vec<Vec<f64>> =
                (0..rows).map(|r| (0..columns).map(|c| f64::from(numbers[6 * r + c])).collect()).collect();
            let gates: Vec<f64> = gates.iter().take(rows).map(|&g| f64::from(g)).collect();
            let given = assign(&costs, &gates);
            let mut taken: Vec<usize> = given.iter().flatten().copied().collect();
            taken.sort_unstable();
            prop_assert!(taken.windows(2).all(|w| w[0] < w[1]), "a column is given once: {given:?}");
            for (row, column) in given.iter().enumerate() {
                prop_assert!(column.is_none_or(|c| costs[row][c] <= gates[row]), "beyond the gate: {given:?}");
            }
            let best = cheapest(&costs, &gates, 0, &mut vec![true; columns]);
            // Small integers: sums are free of rounding, and so are the prices.
            prop_assert_eq!(total(&costs, &gates, &given), best);
        }
    }
}

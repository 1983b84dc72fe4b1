//! Work spread over threads whose result does not depend on how many there are.

/// `work` applied to each item, in order, on at most `threads` threads.
pub(crate) fn map_in_order<'t, T: Sync, R: Send>(
    items: &'t [T],
    threads: usize,
    work: impl Fn(&'t T) -> R + Sync,
) -> Vec<R> {
    let chunk = items.len().div_ceil(threads.max(1)).max(1);
    if items.len() <= chunk {
        return items.iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = items
            .chunks(chunk)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|w| w.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
            .collect()
    })
}

/// `work` applied to each item, in order, on a thread for each.
pub(crate) fn map_each<T: Send, R: Send>(items: &mut [T], work: impl Fn(&mut T) -> R + Sync) -> Vec<R> {
    if let [item] = items {
        return vec![work(item)];
    }
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = items.iter_mut().map(|item| scope.spawn(move || work(item))).collect();
        workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::{map_each, map_in_order};

    #[test]
    fn each_item_is_changed_once_and_answers_in_its_place() {
        for n in [0_usize, 1, 5] {
            let mut items: Vec<usize> = (0..n).collect();
            let squares = map_each(&mut items, |x| {
                *x += 1;
                *x * *x
            });
            assert_eq!(squares, (1..=n).map(|x| x * x).collect::<Vec<_>>());
            assert_eq!(items, (1..=n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn order_and_result_are_those_of_one_thread() {
        for n in [0_usize, 1, 2, 7, 100] {
            let items: Vec<usize> = (0..n).collect();
            let one = map_in_order(&items, 1, |x| x * x);
            assert_eq!(one.len(), n);
            for threads in [2, 3, 200] {
                assert_eq!(map_in_order(&items, threads, |x| x * x), one);
            }
        }
    }
}

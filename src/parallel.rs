//! The same work for many things, on every processor.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does it with each; the results are in the order of the things.
pub(crate) fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::with_capacity(things.len()));
    let worker = || {
        let mut mine = Vec::new();
        while let Some((index, thing)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            things.get(index).map(|thing| (index, thing))
        } {
            mine.push((index, work(thing)));
        }
        all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(things.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_keep_the_order() {
        let things: Vec<u32> = (0..1000).collect();
        assert_eq!(super::each(&things, |thing| thing + 1), (1..=1000).collect::<Vec<_>>());
        assert!(super::each(&[0_u8; 0], |thing| *thing).is_empty());
    }
}

//! Doing the same to many things on all cores.

use std::thread;

use crate::Error;

/// Below this many things, starting threads costs more than it saves.
const WORTHWHILE: usize = 32;

/// Applies `work` to all `items`, in order; the first error, in the order of items, is returned.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    if items.len() < WORTHWHILE || threads == 1 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    let parts: Vec<Result<Vec<R>, Error>> = thread::scope(|scope| {
        let running: Vec<_> = items
            .chunks(items.len().div_ceil(threads))
            .map(|chunk| scope.spawn(move || chunk.iter().map(work).collect()))
            .collect();
        running
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    let mut all = Vec::with_capacity(items.len());
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_the_first_error_wins() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(map(&items, |item| Ok(*item)).unwrap(), items);
        let error = map(&items, |item| {
            if item % 300 == 299 {
                Err(Error::invalid("item", item.to_string(), "is bad"))
            } else {
                Ok(())
            }
        });
        assert_eq!(error.unwrap_err().to_string(), "invalid item `299`: is bad");
    }
}

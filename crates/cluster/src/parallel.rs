//! Many questions at once: machines answer slowly or not at all, and none should wait for another.

/// Runs `ask` for each item on a thread of its own, and returns the answers in the order of the items.
pub fn each<I: Send, A: Send>(
    items: impl IntoIterator<Item = I>,
    ask: impl Fn(I) -> A + Sync,
) -> Vec<A> {
    let ask = &ask;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || ask(item)))
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(answer) => answer,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

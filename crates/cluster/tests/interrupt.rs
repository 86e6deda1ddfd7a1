//! What the user's wish to stop ends. In a program of its own: it is never taken back.
#![allow(missing_docs)]

use std::time::Duration;

use caravan_cluster::{Error, pause, until};
use caravan_process::interrupt;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn waits_end_when_the_user_wants_to_stop() {
    interrupt::raise();
    let waited = until(LONG, "the moon", || Ok(false));
    assert!(matches!(waited, Err(Error::Interrupted)), "{waited:?}");
    assert!(matches!(pause(LONG), Err(Error::Interrupted)));
    // What is so already was not waited for.
    assert!(until(LONG, "the sun", || Ok(true)).is_ok());
}

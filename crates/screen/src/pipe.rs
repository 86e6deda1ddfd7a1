//! What happens when nobody reads what is printed any more.

use std::panic::PanicHookInfo;

/// How a shell tells of a program that SIGPIPE ended: 128 and its number.
const NOBODY_READS: i32 = 141;

/// Ends the program, without a word, as soon as it prints to a pipe that its reader has closed, as `| head -1` does.
///
/// Rust ignores SIGPIPE, as this program must: a child that does not read its input may not end it. What prints then
/// panics. Whatever was begun is left as by a kill, which the next `up` or `destroy` accepts.
pub fn end_when_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match status_of(panic) {
        Some(status) => std::process::exit(status),
        None => usual(panic),
    }));
}

/// The exit status if this panic is a failure to print.
fn status_of(panic: &PanicHookInfo<'_>) -> Option<i32> {
    let payload = panic.payload();
    let said = match payload.downcast_ref::<String>() {
        Some(said) => said.as_str(),
        None => payload.downcast_ref::<&str>()?,
    };
    let why = said.strip_prefix("failed printing to std")?;
    if why.contains("Broken pipe") {
        return Some(NOBODY_READS);
    }
    // A full disk, or a terminal that is gone: if it was stdout, stderr can still say so.
    crate::screen::to_stderr(&format!("error: {said}\n"));
    Some(1)
}

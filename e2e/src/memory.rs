//! The memory of a computer that is itself a virtual machine, before something is timed or has a limit of time.

use std::fs;

/// Frees what is only kept in case it is read again, and has the kernel put memory together.
///
/// A virtual machine in another one may have its page tables shadowed by software. What was compiled or unpacked before leaves
/// memory in single pages, the shadows of which no longer fit; then most accesses to memory leave the machine: measured 5,000
/// instead of 220 ns each, and 333 instead of 33 s for `up ha`. Without effect on other computers but that files are read
/// again.
///
/// Nothing happens where this may not be done: then it is as slow as it is.
pub(crate) fn put_together() {
    for (setting, value) in [("drop_caches", "3"), ("compact_memory", "1")] {
        let path = format!("/proc/sys/vm/{setting}");
        if let Err(error) = fs::write(&path, value) {
            println!("{path}: {error}");
        }
    }
}

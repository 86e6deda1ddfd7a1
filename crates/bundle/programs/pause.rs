//! The container that holds a pod's namespaces: it sleeps, collects orphaned processes, and ends when told to.
//!
//! Compiled alone with `rustc`, without cargo, for the `pause` image; it has nothing but the standard library.
//! The signal interface of libc is declared here because the standard library has none: that is the one reason for
//! `unsafe` in this file.

use std::ffi::c_int;

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SIGCHLD: c_int = 17;
const WNOHANG: c_int = 1;

unsafe extern "C" {
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn pause() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
}

/// As process 1 of its namespace it would ignore both signals without a handler.
extern "C" fn end(_: c_int) {
    // SAFETY: `_exit` may be called from a signal handler and takes no pointers.
    unsafe { _exit(0) }
}

/// Processes of a pod that shares its process namespace are handed to process 1 when their parent ends.
extern "C" fn reap(_: c_int) {
    // SAFETY: `waitpid` may be called from a signal handler and accepts a null status.
    while unsafe { waitpid(-1, std::ptr::null_mut(), WNOHANG) } > 0 {}
}

fn main() {
    // SAFETY: the handlers are functions that live as long as the program and only make async-signal-safe calls.
    unsafe {
        signal(SIGINT, end);
        signal(SIGTERM, end);
        signal(SIGCHLD, reap);
    }
    loop {
        // SAFETY: `pause` takes nothing and returns after each signal.
        unsafe { pause() };
    }
}

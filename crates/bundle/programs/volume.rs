//! The folder of a volume, for local-path-provisioner: made when a claim is bound, and removed with it.
//!
//! Compiled alone with `rustc`, statically, for the `volume` image; it has nothing but the standard library.
//!
//! ```text
//! volume -p FOLDER -s BYTES -m MODE -a create|delete    as the provisioner calls its helper; size and mode are not used
//! volume keep FILE WORD                                 for `verify`: writes WORD to FILE unless something is there,
//!                                                       prints what is there, and stays until it is stopped
//! ```
//!
//! It exits with 0, 1 when it failed, and 2 when it was called wrongly.

use std::ffi::c_int;
use std::fs;
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};
use std::process::ExitCode;

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;

unsafe extern "C" {
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn _exit(status: c_int) -> !;
}

/// As process 1 of its container it would ignore both signals without a handler, and stopping it would take 30 s.
extern "C" fn end(_: c_int) {
    // SAFETY: `_exit` may be called from a signal handler and takes no pointers.
    unsafe { _exit(0) }
}

fn main() -> ExitCode {
    // SAFETY: the handler is a function that lives as long as the program and only makes an async-signal-safe call.
    unsafe {
        signal(SIGINT, end);
        signal(SIGTERM, end);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["-p", folder, "-s", _, "-m", _, "-a", action] if may_be_volume(folder) => match *action {
            "create" => create(Path::new(folder)),
            "delete" => delete(Path::new(folder)),
            _ => return usage(),
        },
        ["keep", file, word] => keep(Path::new(file), word),
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("volume {}: {error}", words.join(" "));
            ExitCode::from(1)
        }
    }
}

/// An absolute path without `..` that lies in a folder: `/` and what is directly in it are nobody's volume.
fn may_be_volume(folder: &str) -> bool {
    let mut parts = Path::new(folder).components();
    let absolute = parts.next() == Some(Component::RootDir);
    let rest: Vec<Component> = parts.collect();
    absolute && rest.len() > 1 && rest.iter().all(|part| matches!(part, Component::Normal(_)))
}

/// Whoever runs in the pod may write there, whatever user that is.
fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))
}

fn delete(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn keep(file: &Path, word: &str) -> Result<()> {
    match fs::File::options().write(true).create_new(true).open(file) {
        Ok(mut made) => {
            made.write_all(word.as_bytes())?;
            made.sync_all()?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    println!("{}", fs::read_to_string(file)?);
    loop {
        std::thread::park();
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: volume -p FOLDER -s BYTES -m MODE -a create|delete, or volume keep FILE WORD");
    ExitCode::from(2)
}

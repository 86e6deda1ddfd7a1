//! Fake programs for tests.

use std::path::Path;

use caravan_process::Program;

/// Writes `text` to `path` as a program.
///
/// Through a shell, so that this process never has the file open for writing: a program of another test that is started
/// at that moment would inherit it, and starting the script would fail with "text file busy".
pub(crate) fn write(path: &Path, text: &str) {
    let write = "cat >\"$1\" && chmod 755 \"$1\"";
    let shell = Program::find("sh").unwrap();
    shell
        .call(["-c", write, "sh"])
        .arg(path)
        .stdin(text)
        .run()
        .unwrap();
}

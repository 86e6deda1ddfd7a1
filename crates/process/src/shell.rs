//! Words as a POSIX shell takes them back: whatever is printed for pasting goes through here.

use std::path::Path;

/// `word`, quoted where a shell would make something else of it.
///
/// ```
/// use caravan_process::shell;
/// assert_eq!(shell::word("image:1"), "image:1");
/// assert_eq!(shell::word("it's $HOME"), r"'it'\''s $HOME'");
/// ```
pub fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `path` as a word that no command takes for an option.
///
/// ```
/// use caravan_process::shell;
/// assert_eq!(shell::path("-f".as_ref()), "./-f");
/// ```
pub fn path(path: &Path) -> String {
    let shown = path.to_string_lossy();
    if shown.starts_with('-') {
        word(&format!("./{shown}"))
    } else {
        word(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Program;

    #[test]
    fn a_shell_takes_them_back() {
        for text in [
            "",
            "a",
            "a b",
            "ws é [a] %h $HOME 'q' , x",
            "a:b",
            "a,b",
            "two\nlines",
            "-f",
            "~",
            "~/x",
            "*",
            "`x`",
            "\\",
            "\"",
            "'",
            "''",
            "!!",
            "#",
            "a;b&c|d>e",
            "{a,b}",
            "a=b",
            "$(x)",
            "\t",
        ] {
            let script = format!("printf '%s|' {}", word(text));
            let output = Program::at("/bin/sh").call(["-c", &script]).run();
            assert_eq!(output.expect("run").stdout, format!("{text}|"));
            let script = format!("printf '%s|' {}", path(Path::new(text)));
            let output = Program::at("/bin/sh").call(["-c", &script]).run();
            let dot = if text.starts_with('-') { "./" } else { "" };
            assert_eq!(output.expect("run").stdout, format!("{dot}{text}|"));
        }
    }
}

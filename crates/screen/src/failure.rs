//! Errors as people read them: what happened, why, and what to do next.

use std::error::Error;
use std::fmt::Write as _;

/// What is said somewhere in an error, in lower case, and what to do about it; `{tool}` is filled in.
const SYMPTOMS: [(&str, &str); 2] = [
    (
        "no space left on device",
        "the disk is full: free some space (`{tool} bundle prune`), then run the same command again; it goes on from here",
    ),
    (
        "cannot connect to the docker daemon",
        "the container engine has stopped: `{tool} setup` starts it where nothing else does; then run the same command \
         again, which goes on from here",
    ),
];

/// Returns `error:`, its causes, a blank line and `hint:`. `tool` is the command whose verbs are named.
pub fn failure_text(error: &dyn Error, hint: Option<String>, tool: &str) -> String {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
    let mut text = format!("{red}error:{red:#} {error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        // A cause may have several lines; all of them stand under their error.
        let said = error.to_string().replace('\n', "\n  ");
        writeln!(text, "  {said}").expect("a string takes it");
        cause = error.source();
    }
    // Whoever met it (Vagrant, the engine, a machine's script), the remedy is the same.
    let said = text.to_lowercase();
    let known = SYMPTOMS
        .iter()
        .find(|(symptom, _)| said.contains(symptom))
        .map(|(_, remedy)| remedy.replace("{tool}", tool));
    if let Some(hint) = known.or(hint) {
        write!(text, "\n{cyan}hint:{cyan:#} {hint}\n").expect("a string takes it");
    }
    text
}

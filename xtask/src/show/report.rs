//! Prints errors: the one place that does.

use std::fmt::Write as _;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use caravan_lab::Fault;
use caravan_lifecycle::{Error as LabError, Interruptible, RefusedLabFile};
use caravan_screen::{failure_text, to_stderr};
use caravan_secrets::starred;

use crate::error::{Error, TOOL};

/// Prints `error` to stderr: `error:`, its causes, a blank line, `hint:`.
pub(crate) fn error(error: &Error) {
    let text = match error {
        Error::Lifecycle(LabError::Faults(file)) => faults(file),
        // What was cut short is no news to who cut it.
        error if error.is_interrupt() => chain(&Error::interrupted()),
        _ => chain(error),
    };
    to_stderr(&text);
}

/// Prints several errors that do not stop the verb; returns how many there were, `None` for none.
pub(crate) fn several(errors: impl Iterator<Item = Error>) -> Option<usize> {
    let mut count = 0;
    for found in errors {
        error(&found);
        count += 1;
    }
    (count > 0).then_some(count)
}

/// Prints what is legal in a lab file but hardly meant.
pub(crate) fn warnings(path: &Path, source: &str, warnings: &[Fault]) {
    for warning in warnings {
        let text = snippet(Level::WARNING, path, source, warning);
        to_stderr(&(text + "\n"));
    }
}

fn chain(error: &Error) -> String {
    failure_text(error, error.hint(), TOOL)
}

fn faults(file: &RefusedLabFile) -> String {
    let mut text: String = file
        .faults
        .iter()
        .map(|fault| snippet(Level::ERROR, &file.path, &file.source, fault) + "\n\n")
        .collect();
    let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
    let (count, things) = match file.faults.len() {
        1 => (String::new(), "this fault"),
        count => (format!("{count} "), "faults"),
    };
    writeln!(
        text,
        "{cyan}hint:{cyan:#} correct {count}{things} in `{}`; nothing was changed",
        file.path.display()
    )
    .expect("a string takes it");
    text
}

fn snippet(level: Level<'_>, path: &Path, source: &str, fault: &Fault) -> String {
    let path = path.display().to_string();
    let (source, title) = (starred(source), starred(&fault.message));
    let others = fault.related.iter().map(|related| {
        AnnotationKind::Context
            .span(related.place.span.clone())
            .label(&related.message)
    });
    let place = AnnotationKind::Primary.span(fault.place.span.clone());
    let label = fault.label.as_deref().map(starred);
    let place = match &label {
        Some(label) => place.label(label.as_str()),
        None => place,
    };
    let mut group = Group::with_title(level.primary_title(title.as_str())).element(
        Snippet::source(source.as_str())
            .path(&path)
            .annotation(place)
            .annotations(others),
    );
    if let Some(help) = &fault.help {
        group = group.element(Level::HELP.message(help));
    }
    // anstream takes the colours away where they are not wanted.
    Renderer::styled().render(&[group]).clone()
}

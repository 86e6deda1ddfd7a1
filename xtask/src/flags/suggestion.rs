//! What is suggested for a verb that there is not.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Error, Parser as _};

use super::Flags;

/// How alike a word and a verb must be, from 0 to 1, before the one is suggested for the other: a slip in each third letter.
const ALIKE: f64 = 0.6;

/// What the command line says; ends the program where it says nothing that is known.
pub(crate) fn parse() -> Flags {
    Flags::try_parse().unwrap_or_else(|mut error| {
        mend(&mut error);
        error.exit()
    })
}

/// Suggests the verb that was probably meant, in place of all that clap finds like it: `destroy` is nothing like `registry`.
fn mend(error: &mut Error) {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return;
    }
    let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let meant = nearest(&Flags::command(), found);
    error.remove(ContextKind::SuggestedSubcommand);
    // A word that can be no verb is none in `--` either.
    error.remove(ContextKind::Suggested);
    if let Some(meant) = meant {
        error.insert(
            ContextKind::SuggestedSubcommand,
            ContextValue::Strings(vec![meant]),
        );
    }
}

fn nearest(command: &Command, found: &str) -> Option<String> {
    let names = command.get_subcommands().flat_map(|verb| {
        let names = std::iter::once(verb.get_name()).chain(verb.get_all_aliases());
        names.map(|name| name.to_owned()).collect::<Vec<_>>()
    });
    let alike = names.map(|name| {
        let alike = strsim::normalized_damerau_levenshtein(&found.to_lowercase(), &name);
        (alike, name)
    });
    let best = alike.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(alike, _)| *alike >= ALIKE)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_no_more() {
        let command = Flags::command();
        for (found, meant) in [
            ("destory", Some("destroy")),
            ("stauts", Some("status")),
            ("Load", Some("load")),
            ("kubctl", Some("kubectl")),
            ("strat", Some("start")),
            ("registry", None),
            ("pause", None),
            ("", None),
        ] {
            assert_eq!(nearest(&command, found).as_deref(), meant, "{found}");
        }
    }

    #[test]
    fn what_people_type_is_a_verb() {
        for (typed, verb) in [
            ("start", "up"),
            ("create", "up"),
            ("stop", "halt"),
            ("delete", "destroy"),
            ("rm", "destroy"),
        ] {
            let command = Flags::command();
            let found = command.find_subcommand(typed).expect(typed);
            assert_eq!(found.get_name(), verb);
        }
    }
}

//! `caravan-pki inspect`

use std::path::Path;
use std::time::SystemTime;

use caravan_pki::Error;
use caravan_pki::inspect::{Inspection, State};

use crate::flags::Inspect;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Inspect, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let mut worst = Exit::Done;
    let (mut all, mut failed) = (Vec::new(), Vec::new());
    let mut fail = |file: &Path, error: Error| {
        let failure = Failure::from(error);
        if json {
            let file = file.display().to_string();
            failed.push(serde_json::json!({ "file": file, "error": failure.to_string() }));
        }
        failure.show();
    };
    for file in &args.files {
        let (chains, faults) = match output::read_chains(file) {
            Ok(found) => found,
            // The other files are shown all the same.
            Err(error) => {
                fail(file, error);
                worst = Exit::Failed;
                continue;
            }
        };
        for fault in faults {
            // Beside one that has a certificate, a user who has something else is as good.
            let is_good = matches!(fault, Error::NoUserCertificate { .. });
            if chains.is_empty() || !is_good {
                worst = Exit::Failed;
            }
            fail(file, fault.in_file(file));
        }
        for chain in chains {
            let count = if args.bundle {
                chain.certificates.len()
            } else {
                1
            };
            for certificate in chain.certificates.iter().take(count) {
                let seen = Inspection::of(certificate, now);
                worst = worst.max(match seen.state {
                    State::Valid => Exit::Done,
                    State::Due => Exit::Degraded,
                    State::Expired | State::NotYetValid => Exit::Failed,
                });
                all.push((file, chain.user.clone(), seen));
            }
            let more = chain.certificates.len() - count;
            if more > 0 {
                let file = file.display();
                eprintln!("{more} more in `{file}`: --bundle shows all");
            }
        }
    }
    if json {
        let list = all.iter().map(|(file, user, seen)| {
            let mut entry = serde_json::json!({
                "file": file.display().to_string(),
                "certificate": seen,
            });
            if let Some(user) = user {
                entry["user"] = user.as_str().into();
            }
            entry
        });
        output::show_json(&list.chain(failed).collect());
    } else {
        for (file, user, seen) in &all {
            show(&file.display().to_string(), user.as_deref(), seen);
        }
    }
    Ok(worst)
}

fn show(file: &str, user: Option<&str>, seen: &Inspection) {
    output::say(file);
    let line = |name: &str, value: &str| {
        if !value.is_empty() {
            output::say(format_args!("  {name:<16}{}", value.escape_debug()));
        }
    };
    line("user", user.unwrap_or_default());
    line("subject", &seen.subject);
    line("issuer", &seen.issuer);
    line("serial", &seen.serial);
    line(
        "valid",
        &format!("{} to {}", seen.not_before, seen.not_after),
    );
    let days = seen.remaining_seconds / 86_400;
    line(
        "state",
        &match seen.state {
            State::Valid => format!("valid, {days} days left"),
            State::Due => format!("due for renewal, {days} days left"),
            State::Expired => "expired".to_owned(),
            State::NotYetValid => "not valid yet".to_owned(),
        },
    );
    if seen.is_authority {
        line(
            "authority",
            &match seen.path_length {
                Some(length) => format!("path length {length}"),
                None => "no path length".to_owned(),
            },
        );
    }
    line("key", &seen.key_algorithm);
    line("key usages", &seen.key_usages.join(", "));
    line("purposes", &seen.purposes.join(", "));
    let names = [&seen.dns_names[..], &seen.ip_addresses, &seen.uris].concat();
    line("names", &names.join(", "));
    line("lists", &seen.revocation_lists.join(", "));
    line("fingerprint", &seen.fingerprint);
    line("key pin", &seen.public_key_pin);
}

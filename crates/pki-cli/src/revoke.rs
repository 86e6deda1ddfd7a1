//! `caravan-pki revoke`

use std::time::SystemTime;

use caravan_pki::{Certificate, Lifetime, Revocation, RevocationReason, rfc3339};

use crate::flags::Revoke;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Revoke, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let store = folder::existing(&args.store)?;
    let plan = folder::authorities(&store, &args.ca)?;
    let reason = RevocationReason::try_from(args.reason.as_str())?;
    let material = store.load(&plan)?;
    let authority = material.authority(&args.ca)?.certificate();
    let mut added = Vec::new();
    for id in &args.ids {
        let file = args.store.join(format!("{id}.crt"));
        let certificate =
            Certificate::from_pem(&output::read(&file)?).map_err(output::in_file(&file))?;
        if !certificate.is_signed_by(authority)? {
            return Err(Failure::Request {
                problem: format!("`{}` did not sign `{}`", args.ca, file.display()),
                hint: format!(
                    "its issuer is `{}`: --ca names it",
                    certificate.issuer_shown()
                ),
            });
        }
        added.push(Revocation::of(&certificate, reason));
    }
    for serial in &args.serial {
        added.push(Revocation::of_serial(serial, reason)?);
    }
    let count = added.len();
    let lifetime = Lifetime::days(args.days);
    let list = store
        .revoke(&plan, &args.ca, added, lifetime, now)
        .map_err(folder::expired(&store))?;
    let file = args.store.join(format!("{}.crl", args.ca));
    let next = list.next_update().map(rfc3339).unwrap_or_default();
    if json {
        let revoked = list.revocations();
        let revoked = revoked.iter().map(|one| {
            serde_json::json!({
                "serial": one.serial(),
                "reason": one.reason().name(),
                "since": one.date().map(rfc3339),
            })
        });
        output::show_json(&serde_json::json!({
            "file": file.display().to_string(),
            "number": list.number(),
            "next_update": next,
            "revoked": revoked.collect::<Vec<_>>(),
        }));
    } else {
        let all = list.revocations().len();
        output::say(format_args!(
            "revoked {count}: {} lists {all}; the next list is due by {next}",
            file.display()
        ));
    }
    Ok(Exit::Done)
}

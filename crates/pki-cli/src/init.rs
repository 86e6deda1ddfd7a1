//! `caravan-pki init`

use std::time::SystemTime;

use caravan_pki::inspect::Inspection;
use caravan_pki::store::{EntryOutcome, Store, load_authority};
use caravan_pki::{AuthoritySpec, Certificate, CommonName, Error, Lifetime, Organization, Plan};

use crate::flags::Init;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Init, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let cn = args.cn.as_deref().unwrap_or("imported");
    let mut spec = AuthoritySpec::new(CommonName::try_from(cn)?)
        .with_lifetime(args.life.or(Lifetime::AUTHORITY))
        .with_path_length(args.path_length)
        .with_permitted(args.permit.iter().cloned())
        .with_excluded(args.exclude.iter().cloned());
    for organization in &args.organization {
        spec = spec.with_organization(Organization::try_from(organization.as_str())?);
    }
    let mut plan = Plan::new();
    match &args.issuer {
        None => plan.authority(&args.id, spec)?,
        Some(issuer) => {
            plan = folder::authorities_above(&folder::existing(&args.store)?, issuer, &args.id)?;
            plan.intermediate(issuer, &args.id, spec)?
        }
    };
    let file = args.store.join(format!("{}.crt", args.id));
    let was_there = file.exists();
    let mut verb = "made";
    let store = if let Some([certificate, key]) = args.import.as_deref() {
        // Before the folder is made: what cannot be brought leaves nothing behind.
        let mut authority = load_authority(certificate, key, now)?;
        if let Some(chain) = &args.chain {
            let all = Certificate::all_from_pem(&output::read(chain)?);
            authority = all
                .and_then(|all| authority.with_chain(all))
                .map_err(output::in_file(chain))?;
        }
        plan.adopt(&args.id, authority.certificate())?;
        let store = Store::open(&args.store)?;
        store.import_authority(&plan, &args.id, &authority)?;
        verb = "imported";
        store
    } else {
        Store::open(&args.store)?
    };
    let made = store
        .ensure(&plan, now)
        .map_err(|error| differs(args, error, &store))?;
    let certificate = made.material().authority(&args.id)?.certificate();
    if json {
        output::say(Inspection::of(certificate, now).to_json());
    } else {
        if was_there {
            folder::note_lifetime(certificate, args.life.asked());
        }
        let verb = match made
            .entries()
            .iter()
            .find(|entry| entry.id.as_str() == args.id)
        {
            Some(entry) if was_there && entry.outcome != EntryOutcome::Unchanged => "changed",
            _ if was_there => "kept",
            _ => verb,
        };
        output::say(format_args!("{verb} {}", file.display()));
    }
    Ok(Exit::Done)
}

/// Refuses to pass off one authority for another that was asked for.
fn differs(args: &Init, error: Error, store: &Store) -> Failure {
    let found = match &error {
        Error::InFile { source, .. } => match &**source {
            Error::AuthorityDiffers { field, found, .. } => Some((*field, found.clone())),
            _ => None,
        },
        _ => None,
    };
    let Some((field, found)) = found else {
        return folder::expired(store)(error);
    };
    let file = args.store.join(format!("{}.crt", args.id));
    let file = file.display();
    match field {
        "subject" => Failure::Request {
            problem: format!("`{file}` is there already, for `{found}`"),
            hint: "another authority needs another name in the store: --id NAME".to_owned(),
        },
        _ => Failure::Request {
            problem: format!("`{file}` is there already, with {field} {found}"),
            hint: "ask for the same, or for another name in the store: --id NAME".to_owned(),
        },
    }
}

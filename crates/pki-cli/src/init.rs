//! `caravan-pki init`

use std::time::SystemTime;

use caravan_pki::inspect::Inspection;
use caravan_pki::store::{Store, load_authority};
use caravan_pki::{AuthoritySpec, Certificate, CommonName, Lifetime, Organization, Plan};

use crate::flags::Init;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Init, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let cn = args.cn.as_deref().unwrap_or("imported");
    let mut spec = AuthoritySpec::new(CommonName::try_from(cn)?)
        .with_lifetime(Lifetime::days(args.days))
        .with_path_length(args.path_length);
    for organization in &args.organization {
        spec = spec.with_organization(Organization::try_from(organization.as_str())?);
    }
    let mut plan = Plan::new();
    plan.authority(&args.id, spec)?;
    let file = args.store.join(format!("{}.crt", args.id));
    let was_there = file.exists();
    let mut verb = "made";
    let store = if let Some([certificate, key]) = args.import.as_deref() {
        // Before the folder is made: what cannot be brought leaves nothing behind.
        let authority = load_authority(certificate, key, now)?;
        let store = Store::open(&args.store)?;
        store.import_authority(&plan, &args.id, &authority)?;
        verb = "imported";
        store
    } else {
        Store::open(&args.store)?
    };
    let made = store.ensure(&plan, now).map_err(folder::expired(&store))?;
    let certificate = made.material().authority(&args.id)?.certificate();
    if args.import.is_none() {
        require_same(args, certificate)?;
    }
    if json {
        output::say(Inspection::of(certificate, now).to_json());
    } else {
        let verb = if was_there { "kept" } else { verb };
        output::say(format_args!("{verb} {}", file.display()));
    }
    Ok(Exit::Done)
}

/// Refuses to pass off one authority for another that was asked for.
fn require_same(args: &Init, found: &Certificate) -> Result<(), Failure> {
    let cn = args.cn.iter().cloned().collect::<Vec<_>>();
    if found.common_names() == cn && found.organizations() == args.organization {
        return Ok(());
    }
    Err(Failure::Request {
        problem: format!(
            "`{}` is there already, for `{}`",
            args.store.join(format!("{}.crt", args.id)).display(),
            Inspection::of(found, SystemTime::UNIX_EPOCH).subject
        ),
        hint: "another authority needs another name in the store: --id NAME".to_owned(),
    })
}

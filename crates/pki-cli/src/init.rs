//! `caravan-pki init`

use std::time::SystemTime;

use caravan_pki::inspect::Inspection;
use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Error, Lifetime, Organization, Plan};

use crate::flags::Init;
use crate::output::{self, Outcome};

pub(crate) fn run(args: &Init, json: bool, now: SystemTime) -> Result<Outcome, Error> {
    let store = Store::open(&args.store)?;
    let cn = args.cn.as_deref().unwrap_or("imported");
    let mut spec = AuthoritySpec::new(CommonName::try_from(cn)?)
        .with_lifetime(Lifetime::days(args.days))
        .with_path_length(args.path_length);
    for organization in &args.organization {
        spec = spec.with_organization(Organization::try_from(organization.as_str())?);
    }
    let mut plan = Plan::new();
    plan.authority(&args.id, spec)?;
    if let Some([certificate, key]) = args.import.as_deref() {
        let authority = Authority::load(&output::read(certificate)?, &output::read(key)?, now)
            .map_err(output::in_file(certificate))?;
        store.import_authority(&plan, &args.id, &authority)?;
    }
    let made = store.ensure(&plan, now)?;
    let authority = made.material().authority(&args.id)?;
    if json {
        println!("{}", Inspection::of(authority.certificate(), now).to_json());
    } else {
        let file = args.store.join(format!("{}.crt", args.id));
        let verb = if made.changes().next().is_some() {
            "made"
        } else {
            "kept"
        };
        println!("{verb} {}", file.display());
    }
    Ok(Outcome::Done)
}

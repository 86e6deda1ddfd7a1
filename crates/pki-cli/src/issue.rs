//! `caravan-pki issue`

use std::time::SystemTime;

use caravan_pki::inspect::Inspection;
use caravan_pki::store::EntryOutcome;
use caravan_pki::{
    CertificateRequest, CommonName, EntryId, Error, Leaf, Lifetime, Organization, RequestPolicy,
    San, Sans, Usage,
};

use crate::flags::Issue;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Issue, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let store = folder::existing(&args.store)?;
    // The authorities alone: other certificates, also those that are due, are not this verb's business.
    let mut plan = folder::authorities(&store, &args.ca)?;
    if let Some(request) = &args.request {
        let material = store.load(&plan)?;
        let request = CertificateRequest::from_pem(&output::read(request)?)
            .map_err(output::in_file(request))?;
        let authority = material.authority(&args.ca)?;
        let certificate = authority.sign_request(&request, &policy(args)?, now)?;
        if json {
            output::say(Inspection::of(&certificate, now).to_json());
        } else {
            output::print(certificate.to_pem() + &authority.chain_pem());
        }
        return Ok(Exit::Done);
    }
    let id = args.id.as_deref().unwrap_or_default();
    EntryId::try_from(id)?;
    if plan.entry(id).is_some() {
        return Err(Failure::Request {
            problem: format!("`{id}` is an authority of `{}`", args.store.display()),
            hint: "a certificate needs another name in the store".to_owned(),
        });
    }
    plan.leaf(&args.ca, id, leaf(args, id)?)?;
    let made = store.ensure(&plan, now).map_err(folder::expired(&store))?;
    let identity = made.material().identity(id)?;
    if json {
        output::say(Inspection::of(identity.certificate(), now).to_json());
        return Ok(Exit::Done);
    }
    let file = args.store.join(format!("{id}.crt"));
    for entry in made.entries() {
        if entry.id.as_str() == id {
            output::say(match &entry.outcome {
                EntryOutcome::Unchanged => {
                    folder::note_lifetime(identity.certificate(), args.life.asked());
                    format!("kept {}", file.display())
                }
                EntryOutcome::Made(reason) => format!("made {}: {reason}", file.display()),
            });
        }
    }
    Ok(Exit::Done)
}

fn usages(args: &Issue) -> Vec<Usage> {
    let all = [
        (args.server || args.peer, Usage::ServerAuth),
        (args.client || args.peer, Usage::ClientAuth),
    ];
    all.into_iter()
        .filter_map(|(wanted, usage)| wanted.then_some(usage))
        .collect()
}

fn leaf(args: &Issue, id: &str) -> Result<Leaf, Error> {
    let last = id.rsplit('/').next().unwrap_or(id);
    let cn = CommonName::try_from(args.cn.as_deref().unwrap_or(last))?;
    let sans = if args.san.is_empty() {
        None
    } else {
        Some(Sans::parse(args.san.iter().map(String::as_str))?)
    };
    let mut leaf =
        Leaf::custom(cn, usages(args), sans)?.with_lifetime(args.life.or(Lifetime::LEAF));
    for uri in &args.crl_url {
        leaf = leaf.with_revocation_list(uri.clone());
    }
    for organization in &args.organization {
        leaf = leaf.with_organization(Organization::try_from(organization.as_str())?);
    }
    Ok(leaf)
}

fn policy(args: &Issue) -> Result<RequestPolicy, Error> {
    let mut policy = match usages(args)[..] {
        [Usage::ServerAuth] => RequestPolicy::server(),
        [Usage::ClientAuth] => RequestPolicy::client(),
        _ => RequestPolicy::peer(),
    }
    .with_lifetime(args.life.or(Lifetime::LEAF));
    if let Some(cn) = &args.cn {
        policy = policy.with_common_name(CommonName::try_from(cn.as_str())?);
    }
    for uri in &args.crl_url {
        policy = policy.with_revocation_list(uri.clone());
    }
    for organization in &args.organization {
        policy = policy.with_organization(Organization::try_from(organization.as_str())?);
    }
    for san in &args.san {
        policy = policy.with_name(San::try_from(san.as_str())?);
    }
    Ok(policy)
}

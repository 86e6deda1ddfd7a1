//! `caravan-pki verify`

use std::path::Path;
use std::time::SystemTime;

use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{Certificate, RevocationList, San};

use crate::flags::Verify;
use crate::output::{self, Exit, Failure};
use crate::server;

pub(crate) fn run(args: &Verify, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let purpose = match &args.server {
        Some(name) => Purpose::Server(San::try_from(name.as_str())?),
        None => Purpose::Client,
    };
    let mut roots = Vec::new();
    for file in &args.ca {
        roots.extend(authorities(file)?);
    }
    let mut lists = Vec::new();
    for file in &args.crl {
        lists.push(RevocationList::parse(&output::read(file)?).map_err(output::in_file(file))?);
    }
    let chain = chain(&args.file)?;
    let chain: Vec<&Certificate> = chain.iter().collect();
    let verifier = lists
        .iter()
        .fold(Verifier::new(&roots), Verifier::with_revocation_list);
    let result = verifier.verify(&chain, &purpose, now);
    if json {
        let refusal = result.as_ref().err().map(ToString::to_string);
        output::show_json(&serde_json::json!({
            "file": args.file.display().to_string(),
            "purpose": purpose.to_string(),
            "trusted": result.is_ok(),
            "refusal": refusal,
        }));
        return Ok(if result.is_ok() {
            Exit::Done
        } else {
            Exit::Failed
        });
    }
    result?;
    output::say(format_args!(
        "{} is trusted as {purpose}",
        args.file.display()
    ));
    Ok(Exit::Done)
}

/// The authorities of a file, which must hold nothing else: a kubeconfig's user, trusted by mistake, would vouch for
/// itself, and so would a server.
fn authorities(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let refused = |problem: String| Failure::Request {
        problem: format!("`{}` cannot be trusted: {problem}", file.display()),
        hint: "give the certificates of the authorities alone".to_owned(),
    };
    if server::address(file).is_some() {
        let problem = "it is a server, which is not asked whom to trust";
        return Err(refused(problem.to_owned()));
    }
    let (chains, faults) = output::read_chains(file)?;
    // Also one whose users have no certificate that could be read.
    let of_users = chains.iter().any(|chain| chain.user.is_some()) || !faults.is_empty();
    let all: Vec<Certificate> = chains
        .into_iter()
        .flat_map(|chain| chain.certificates)
        .collect();
    let other = all.iter().find(|one| !one.is_authority());
    let problem = match other {
        _ if of_users || all.is_empty() => {
            "it is a kubeconfig, whose certificates are its users'".to_owned()
        }
        Some(other) => format!(
            "the certificate of `{}` in it is no authority's",
            other.subject_shown()
        ),
        None => return Ok(all),
    };
    Err(refused(problem))
}

/// The one chain of a file.
fn chain(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let (mut chains, mut faults) = output::read_chains(file)?;
    match (chains.pop(), chains.is_empty(), faults.pop()) {
        (Some(only), true, None) => Ok(only.certificates),
        (None, _, Some(fault)) => Err(fault.in_file(file).into()),
        _ => Err(Failure::Request {
            problem: format!("`{}` has several users", file.display()),
            hint: "which of them is to be judged is not known: put one into a file of its own"
                .to_owned(),
        }),
    }
}

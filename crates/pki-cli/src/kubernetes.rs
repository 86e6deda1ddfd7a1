//! `caravan-pki kubernetes`

use std::path::Path;
use std::time::SystemTime;

use caravan_pki::kubernetes::{Cluster, NodeFile};
use caravan_pki::store::Store;
use caravan_pki::{DnsName, Error, Material, San};

use crate::flags::Kubernetes;
use crate::folder;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Kubernetes, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let cluster = cluster(args)?;
    let plan = cluster.plan()?;
    if args.dry_run {
        if json {
            let entries = plan.entries().iter();
            let entries = entries.map(|entry| {
                serde_json::json!({ "id": entry.id().as_str(), "is": entry.item().to_string() })
            });
            output::show_json(&entries.collect());
        } else {
            output::print(&plan);
        }
        return Ok(Exit::Done);
    }
    let store = Store::open(&args.store)?;
    let made = store.ensure(&plan, now).map_err(folder::expired(&store))?;
    let pki = made.material();
    let mut written = Vec::new();
    if let Some(out) = &args.out {
        written = write_all(&cluster, args, pki, out)?;
    }
    let hash = cluster.discovery_hash(pki)?;
    let changes: Vec<(String, String)> = made
        .entries()
        .iter()
        .filter_map(|entry| match &entry.outcome {
            caravan_pki::store::EntryOutcome::Made(reason) => {
                Some((entry.id.to_string(), reason.to_string()))
            }
            _ => None,
        })
        .collect();
    if json {
        let made: Vec<_> = changes
            .iter()
            .map(|(id, reason)| serde_json::json!({ "id": id, "reason": reason }))
            .collect();
        output::show_json(&serde_json::json!({
            "made": made,
            "files": written,
            "discovery_hash": hash,
        }));
        return Ok(Exit::Done);
    }
    for (id, reason) in &changes {
        output::say(format_args!("made {id}: {reason}"));
    }
    if changes.is_empty() {
        output::say("nothing to make");
    }
    for file in &written {
        output::say(format_args!("wrote {file}"));
    }
    eprintln!("join with: --discovery-token-ca-cert-hash {hash}");
    Ok(Exit::Done)
}

fn cluster(args: &Kubernetes) -> Result<Cluster, Error> {
    let mut cluster = Cluster::new(&args.endpoint)?;
    if let Some(name) = &args.name {
        cluster = cluster.with_name(name)?;
    }
    if let Some(domain) = &args.dns_domain {
        cluster = cluster.with_dns_domain(DnsName::try_from(domain.as_str())?);
    }
    if !args.service_address.is_empty() {
        cluster = cluster.with_service_addresses(args.service_address.iter().copied());
    }
    for san in &args.san {
        cluster = cluster.with_extra_san(San::try_from(san.as_str())?);
    }
    cluster = args
        .control_plane
        .iter()
        .cloned()
        .fold(cluster, Cluster::with_control_plane);
    cluster = args.etcd.iter().cloned().fold(cluster, Cluster::with_etcd);
    Ok(args
        .worker
        .iter()
        .cloned()
        .fold(cluster, Cluster::with_worker))
}

/// Writes each machine's files as they lie on it, below a folder of its name, and the operator's kubeconfig.
fn write_all(
    cluster: &Cluster,
    args: &Kubernetes,
    pki: &Material,
    out: &Path,
) -> Result<Vec<String>, Failure> {
    let mut written = Vec::new();
    let mut write = |path: &Path, mode: u32, content: &[u8]| -> Result<(), Error> {
        if let Some(folder) = path.parent() {
            caravan_files::make_private_folder(folder).map_err(output::not_written)?;
        }
        let done = caravan_files::write_if_changed(path, mode, content);
        if done.map_err(output::not_written)? {
            written.push(path.display().to_string());
        }
        Ok(())
    };
    let nodes = args
        .control_plane
        .iter()
        .chain(&args.etcd)
        .chain(&args.worker);
    for node in nodes {
        for file in cluster.node_files(node.name(), pki)? {
            let NodeFile { path, mode, .. } = &file;
            let path = out.join(node.name()).join(path.trim_start_matches('/'));
            write(&path, *mode, file.content.as_bytes())?;
        }
    }
    let config = cluster.admin_kubeconfig(pki, &cluster.endpoint().url())?;
    write(&out.join("admin.conf"), 0o600, config.as_bytes())?;
    Ok(written)
}

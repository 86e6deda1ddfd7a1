//! All that tells of a lab's state in one archive, for whoever is to find out what is wrong with it. No key is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_cluster::kube::Api;
use caravan_cluster::{Access, parallel, remote};
use caravan_lab::{Lab, Machine};
use caravan_secrets::{KnownSecrets, struck};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Error, LabDir, LabRun, lab_secrets};

/// How long a machine may take to tell all of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What begins a file in what a machine tells.
const MARK: &str = "@@@@ ";

/// What each machine is asked. Nothing of it shows a secret: what holds one is not among the files.
const ASK: &str = r"
part() { echo; echo '@@@@ '$1; shift; timeout 30 $* 2>&1; }
part journal.txt journalctl --boot --no-pager --output=short-iso --lines=20000
part units.txt systemctl list-units --all --no-pager --plain
part failed.txt systemctl list-units --failed --no-pager --plain
part addresses.txt ip address show
part routes.txt ip route show table all
part sockets.txt ss --tcp --udp --listening --numeric --processes
part processes.txt ps -eo pid,ppid,stat,etime,rss,comm
part memory.txt free --mebi
part disks.txt df --human-readable
part filters.txt nft list ruleset
if command -v ctr >/dev/null; then
    part images.txt ctr --namespace k8s.io images list --quiet
    part containers.txt ctr --namespace k8s.io containers list
    part tasks.txt ctr --namespace k8s.io tasks list
fi
for file in /etc/kubernetes/manifests/*.yaml /etc/kubernetes/kubelet.conf.d/* /var/lib/kubelet/config.yaml \
    /etc/haproxy/haproxy.cfg /etc/etcd/cluster.env /etc/containerd/config.toml; do
    [ ! -f $file ] || part files$file cat $file
done
exit 0
";

/// What of the API is kept: nothing that can hold a secret.
const OBJECTS: [(&str, &str); 5] = [
    ("nodes", "/api/v1/nodes"),
    ("pods", "/api/v1/pods"),
    ("events", "/api/v1/events"),
    ("services", "/api/v1/services"),
    ("deployments", "/apis/apps/v1/deployments"),
];

/// The files of a lab's state that hold no key, as patterns: a folder's files by their ending.
const STATE: [(&str, &str); 8] = [
    ("", "choices.toml"),
    ("", "cluster.toml"),
    ("", "operation.json"),
    ("", "verify.json"),
    ("images", "images.toml"),
    ("deployed", "lab.toml"),
    ("timeline", ".json"),
    ("logs", ".log"),
];

/// What an archive came to.
#[derive(Debug)]
pub struct SupportArchive {
    /// Where it is.
    pub path: PathBuf,
    /// How many files it holds.
    pub files: usize,
    /// The machines that could not be asked, each with why.
    pub silent: Vec<(String, String)>,
}

/// Writes the archive of a lab to `folder`; `machines` are those that run, which are asked where there is `access`.
///
/// # Errors
///
/// [`Error::Write`], [`Error::Read`] where the keys cannot be read by which texts are freed of them.
pub fn archive(
    run: &LabRun<'_>,
    lab: &Lab,
    dir: &LabDir,
    access: Option<&Access>,
    machines: &[&Machine],
    folder: &Path,
) -> Result<SupportArchive, Error> {
    let secrets = lab_secrets(dir)?;
    let mut files: BTreeMap<String, String> = state(dir);
    let mut silent = Vec::new();
    if let Some(access) = access {
        let told = parallel::each(machines, |machine| {
            run.tell_begin(&machine.name, "tells what it does");
            let told = remote(&access.ssh, machine).script(ASK, PATIENCE);
            run.tell_end(&machine.name, "has told what it does");
            told
        });
        for (machine, told) in machines.iter().zip(told) {
            match told {
                Ok(output) => files.extend(parts(&machine.name, &output.stdout)),
                Err(error) => silent.push((machine.name.clone(), error.to_string())),
            }
        }
        for (name, path) in OBJECTS {
            let asked = Api::endpoint(lab, access).and_then(|api| api.get(path));
            let text = match asked {
                Ok(object) => serde_json::to_string_pretty(&object).unwrap_or_default(),
                Err(error) => error.chain(),
            };
            files.insert(format!("cluster/{name}.json"), text);
        }
    }
    fs::create_dir_all(folder).map_err(|source| Error::Write {
        path: folder.to_owned(),
        source,
    })?;
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let root = format!("{}-{stamp}", lab.name());
    let path = folder.join(format!("{root}.tar.gz"));
    let bytes = packed(&root, &files, &secrets).map_err(|source| Error::Write {
        path: path.clone(),
        source,
    })?;
    caravan_files::write_if_changed(&path, 0o600, &bytes)?;
    Ok(SupportArchive {
        path,
        files: files.len(),
        silent,
    })
}

fn packed(
    root: &str,
    files: &BTreeMap<String, String>,
    secrets: &KnownSecrets,
) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in files {
        let text = struck(text, secrets);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append_data(&mut header, format!("{root}/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

/// What the lab's state tells.
fn state(dir: &LabDir) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (folder, ending) in STATE {
        let Ok(entries) = fs::read_dir(dir.root().join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(ending)
                && let Ok(text) = fs::read(entry.path())
            {
                let text = String::from_utf8_lossy(&text).into_owned();
                files.insert(format!("state/{folder}/{name}").replace("//", "/"), text);
            }
        }
    }
    files
}

/// The files in what a machine has told.
fn parts(machine: &str, told: &str) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut current = None;
    for line in told.lines() {
        if let Some(name) = line.strip_prefix(MARK) {
            current = Some(format!("machines/{machine}/{name}"));
        } else if let Some(name) = &current {
            let text = files.entry(name.clone()).or_default();
            text.push_str(line);
            text.push('\n');
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::Keys;

    #[test]
    fn no_key_is_in_it_wherever_one_was() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        let lab = Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid");
        let keys = Keys::ensure(&lab, &dir).expect("made");
        let kubeconfig = keys.kubeconfig(&lab).expect("made");
        let ssh_key = fs::read_to_string(dir.ssh_key()).expect("there");
        let token = dir.pki().join("secrets/etcd-cluster-token.secret");
        let token = fs::read_to_string(token).expect("there").trim().to_owned();
        // What a careless program might print.
        fs::write(dir.log("server1"), format!("ssh {ssh_key}\n{kubeconfig}")).expect("written");
        let told = format!(
            "@@@@ journal.txt\nstarts\n{kubeconfig}\ntoken {token}\n@@@@ files/etc/x\nplain\n"
        );
        let mut files = state(&dir);
        files.extend(parts("masterone", &told));
        let secrets = lab_secrets(&dir).expect("read");
        let bytes = packed("ha-now", &files, &secrets).expect("packed");
        let mut text = String::new();
        let mut tar = GzDecoder::new(bytes.as_slice());
        tar.read_to_string(&mut text).expect("text");
        for said in [
            "ha-now/machines/masterone/journal.txt",
            "starts",
            "plain",
            "clusters:",
            "[secret]",
        ] {
            assert!(text.contains(said), "{said}");
        }
        assert!(!text.contains("PRIVATE KEY") && !text.contains(&token));
        for line in ssh_key.lines().filter(|line| !line.starts_with('-')) {
            assert!(!text.contains(line), "{line}");
        }
        let data = kubeconfig
            .lines()
            .filter_map(|it| it.trim().strip_prefix("client-key-data: "));
        for data in data {
            assert!(!text.contains(data.trim_matches('"')), "{data}");
        }
    }
}

//! The certificates of labs: renewed while a client asks all the time, and rescued when all of them have ended. The lab of
//! `data.rs` has its certificates renewed in each run; what is here takes minutes more.
//!
//! `CARAVAN_LONG=1 cargo test -p caravan-e2e --test certificates -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use caravan_e2e::{
    assert_renewed_unnoticed, assert_verified, docker, on, on_a_clean_host, runs_long,
};
use caravan_pki::{Authority, Certificate, Leaf, Lifetime, PrivateKey};

/// How long certificates live that are to end while the story goes on.
const SHORT_MINUTES: u32 = 3;

/// What masters have that kubeadm has made, with lives of minutes; then everybody reads what is there.
const SHORTEN_MASTER: &str = r#"
set -eu
export HOME=/root
sed "/^kind: ClusterConfiguration/a certificateValidityPeriod: MINUTESm0s" /etc/kubernetes/caravan/kubeadm-init.yaml >/root/short.yaml
kubeadm certs renew all --config /root/short.yaml
rm /root/short.yaml
pkill -TERM -x 'kube-.*' || true
"#;

/// A kubelet that rested while its certificate ended.
const SHORTEN_KUBELET: &str = r#"
set -eu
systemctl stop kubelet.service
cd /var/lib/kubelet/pki
ln -sf kubelet-client-caravan.pem kubelet-client-current.pem
"#;

#[test]
#[ignore = "needs the engine, a bundle and minutes"]
fn certificates_are_renewed_and_nobody_notices() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        const LAB: &str = "ha";
        tool.ok(&["up", LAB, "--yes"]);
        assert_renewed_unnoticed(tool, LAB);
        assert_verified(tool, LAB, &["--wait"]);
        // What the timer of a master does each day: nothing is due.
        let said = on(
            tool,
            LAB,
            "mastertwo",
            "systemctl is-active caravan-certificates.timer && systemctl start caravan-certificates.service && journalctl --unit caravan-certificates.service --output cat --lines 5",
        );
        assert!(said.contains("nothing is due"), "{said}");
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}

#[test]
#[ignore = "needs the engine, a bundle and minutes"]
fn a_lab_is_rescued_whose_certificates_have_ended() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        const LAB: &str = "external-etcd";
        tool.ok(&["up", LAB, "--yes"]);
        let early = tool.run(&["certs", "renew", LAB, "--expired"]);
        assert_eq!(early.status, Some(1), "nothing has ended");
        shorten_store(&tool.state(LAB).join("pki"));
        tool.ok(&["plan", LAB, "--write"]);
        let machines = archives(&tool.state(LAB));
        assert!(machines.len() >= 4, "{machines:?}");
        for (machine, archive) in &machines {
            unpack_certificates(LAB, machine, archive);
        }
        for (machine, _) in &machines {
            if machine.starts_with("master") || machine.starts_with("worker") {
                on(tool, LAB, machine, SHORTEN_KUBELET);
            }
            if machine.starts_with("master") {
                let minutes = SHORT_MINUTES.to_string();
                on(
                    tool,
                    LAB,
                    machine,
                    &SHORTEN_MASTER.replace("MINUTES", &minutes),
                );
            }
        }
        std::thread::sleep(Duration::from_secs(u64::from(SHORT_MINUTES) * 60 + 5));
        let refused = tool.run(&["certs", "renew", LAB]);
        assert_eq!(refused.status, Some(1));
        assert!(refused.stderr.contains("--expired"), "{}", refused.stderr);
        let status = tool.run(&["status", LAB]);
        assert_eq!(status.status, Some(3));
        assert!(
            status
                .stdout
                .contains("`cargo xtask certs renew external-etcd --expired`"),
            "{}",
            status.stdout
        );

        // As after a rest: what runs holds connections that were made before.
        for (machine, _) in &machines {
            if machine.starts_with("etcd") {
                on(
                    tool,
                    LAB,
                    machine,
                    "systemctl restart --no-block etcd.service",
                );
            }
        }
        let began = Instant::now();
        tool.ok(&["certs", "renew", LAB, "--expired"]);
        println!("TIME a lab rescued: {:.1} s", began.elapsed().as_secs_f32());
        assert_verified(tool, LAB, &["--wait"]);
        tool.ok(&["certs", "check", LAB]);
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}

/// Makes every certificate of a store that is no authority's anew, from itself and its key, to live for minutes.
fn shorten_store(store: &Path) {
    let files = certificates_below(store);
    let now = SystemTime::now();
    let read = |file: &Path| {
        let text = fs::read(file).expect("read");
        Certificate::from_pem(&text).expect("a certificate")
    };
    let authorities: Vec<Authority> = files
        .iter()
        .filter(|file| read(file).is_authority())
        .map(|file| {
            let key = fs::read(file.with_extension("key")).expect("its key");
            Authority::load(&fs::read(file).expect("read"), &key, now).expect("an authority")
        })
        .collect();
    let mut made = 0;
    for file in &files {
        let old = read(file);
        if old.is_authority() {
            continue;
        }
        let issuer = authorities
            .iter()
            .find(|it| old.is_signed_by(it.certificate()).is_ok_and(|it| it))
            .expect("an authority of the store has signed it");
        let key = fs::read(file.with_extension("key")).expect("its key");
        let key = PrivateKey::from_pem(&key).expect("a key");
        let leaf = Leaf::from_certificate(&old)
            .expect("described")
            .with_lifetime(Lifetime::minutes(SHORT_MINUTES));
        let new = issuer.certify(&leaf, key.public_key(), now).expect("made");
        fs::write(file, new.to_pem()).expect("written");
        made += 1;
    }
    assert!(made > 5, "only {made} certificates");
}

fn certificates_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(certificates_below(&path));
        } else if path.extension().is_some_and(|it| it == "crt") {
            found.push(path);
        }
    }
    found
}

/// Each machine, and the archive of its files.
fn archives(state: &Path) -> Vec<(String, PathBuf)> {
    let servers = fs::read_dir(state).expect("a folder");
    let folders = servers.map(|it| it.expect("an entry").path().join("machines"));
    let mut found = Vec::new();
    for folder in folders.filter(|it| it.is_dir()) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy();
            if path.extension().is_some_and(|it| it == "sh") {
                found.push((name.into_owned(), path.clone()));
            }
        }
    }
    // The one that makes others comes first: in no order otherwise.
    found.sort();
    found
}

/// Gives a machine the certificates that its archive has.
fn unpack_certificates(lab: &str, machine: &str, archive: &Path) {
    let text = fs::read(archive).expect("read");
    let head = String::from_utf8_lossy(&text[..400]);
    // tail -n +37 machines/etcdone.sh | tar -t
    let (_, line) = head.split_once("# tail -n +").expect("how to list it");
    let line = line.split(' ').next().expect("a number");
    let container = format!("caravan-{lab}-{machine}");
    let place = format!("{container}:/root/files.sh");
    docker(&["cp", archive.to_str().expect("text"), &place]);
    // Not each machine has both kinds, which tar takes for an error.
    let unpack = format!(
        "tail -n +{line} /root/files.sh | tar -x -C / --wildcards --no-anchored '*.crt' 'kubelet-client-caravan.pem'; rm /root/files.sh"
    );
    docker(&["exec", &container, "bash", "-c", &unpack]);
}

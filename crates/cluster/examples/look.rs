//! Looks into a running lab: `cargo run -p caravan-cluster --example look -- LAB.toml STATE-FOLDER watch|ready|status|claim|quick|full|disrupt`.
//!
//! For work on this crate; people use `cargo xtask status`. The state folder holds `pki/` and `ssh/`.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use caravan_cluster::convergence::Convergence;
use caravan_cluster::verify::{self, Depth, Options, VerifyEvent, VerifyOutcome};
use caravan_cluster::watch::{Watch, explain};
use caravan_cluster::{Access, Certificate, Foreign, PATIENCE, Pair, ready, status};
use caravan_lab::Lab;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Usage};
use caravan_vagrant::MachineState;
use caravan_vagrant::engine::DockerMachines;
use caravan_vagrant::ssh::Ssh;

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, state, what] = &words[..] else {
        return Err(
            "wanted: LAB.toml STATE-FOLDER watch|ready|status|claim|quick|full|disrupt".into(),
        );
    };
    let (file, state) = (Path::new(file), Path::new(state));
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let lab = Lab::parse(&name, &std::fs::read_to_string(file)?)
        .map_err(|faults| format!("{faults:?}"))?;
    let access = access(state)?;
    let began = Instant::now();
    match what.as_str() {
        "watch" => watch(&lab, &access),
        "ready" => ready::wait(
            &lab,
            &access,
            TOOL,
            Duration::from_secs(120),
            &mut |readiness| {
                let missing = readiness.missing.iter().map(ToString::to_string);
                println!("{:?} {:?}", began.elapsed(), missing.collect::<Vec<_>>());
            },
        )?,
        // `claim`: as if every machine ran, to see how long the dead ones take.
        "status" | "claim" => {
            let machines = DockerMachines::find()?.machines(Some(lab.name()))?;
            let mut states: BTreeMap<_, _> = machines
                .into_iter()
                .map(|machine| (machine.machine, machine.state))
                .collect();
            if what == "claim" {
                let claimed = lab.machines().iter();
                states = claimed
                    .map(|machine| (machine.name.clone(), MachineState::Running))
                    .collect();
            }
            let engine = began.elapsed();
            let status = status::ask(&lab, &access, TOOL, &states)?;
            println!("{status:#?}");
            println!("engine {engine:?}, all {:?}", began.elapsed());
        }
        "quick" => verify(&lab, &access, Depth::Quick),
        "full" => verify(&lab, &access, Depth::Full),
        "disrupt" => verify(&lab, &access, Depth::Disrupt),
        other => return Err(format!("unknown: {other}").into()),
    }
    Ok(())
}

/// What people type for the verbs that advice names.
const TOOL: &str = "cargo xtask";

fn watch(lab: &Lab, access: &Access) {
    let names: Vec<&str> = lab.machines().iter().map(|it| it.name.as_str()).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |since| since.as_millis() as u64);
    let mut convergence = Convergence::new(names.iter().copied(), now_ms);
    let watch = Watch::start(lab, &access.ssh, &names, Duration::from_secs(20));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(120) && !convergence.all_ready() {
        if let Some(news) = watch.next(Duration::from_millis(200)) {
            convergence.hear(&news);
            println!("{:?} {} {:?}", began.elapsed(), news.machine, news.event);
        }
    }
    for (name, machine) in convergence.unfinished() {
        println!(
            "{:#?}",
            explain(
                lab,
                &access.ssh,
                name,
                machine.phase.as_ref(),
                &machine.text
            )
        );
    }
    let stopping = Instant::now();
    drop(watch);
    println!(
        "watched {:?}, stopped in {:?}",
        began.elapsed(),
        stopping.elapsed()
    );
}

/// Test pods are made of the image that `PROBE_IMAGE` names.
fn verify(lab: &Lab, access: &Access, depth: Depth) {
    let options = Options {
        depth,
        airgap: true,
        probe_image: std::env::var("PROBE_IMAGE").ok(),
        volume_image: std::env::var("VOLUME_IMAGE").ok(),
        tool: TOOL.to_owned(),
    };
    let report = verify::run(access, lab, &options, &mut |event| {
        if let VerifyEvent::Ends(check) = event {
            println!(
                "{:?} {} {:.2} s: {}",
                check.outcome, check.id, check.seconds, check.evidence
            );
        }
    });
    println!(
        "{} passed, {} failed, {} skipped in {:.2} s, left behind: {:?}",
        report.of(VerifyOutcome::Passed).count(),
        report.of(VerifyOutcome::Failed).count(),
        report.of(VerifyOutcome::Skipped).count(),
        report.seconds,
        report.left_behind
    );
}

fn access(state: &Path) -> Result<Access, Fault> {
    let read = |name: &str| std::fs::read_to_string(state.join("pki").join(name));
    let pair = |name: &str| -> Result<Pair, Fault> {
        Ok(Pair {
            certificate: read(&format!("{name}.crt"))?,
            key: read(&format!("{name}.key"))?,
        })
    };
    let now = SystemTime::now();
    let stranger = Authority::create(&AuthoritySpec::new(CommonName::try_from("etcd-ca")?), now)?;
    let leaf = Leaf::client(CommonName::try_from("kube-apiserver-etcd-client")?);
    let client = stranger.issue(&leaf, now)?;
    Ok(Access {
        way: caravan_cluster::NetworkWay::default(),
        ssh: Ssh::find(state.join("ssh/id_ecdsa"), state.join("ssh/known_hosts"))?,
        kubernetes_ca: read("ca.crt")?,
        etcd_ca: read("etcd-ca.crt")?,
        operator: pair("operator")?,
        etcd_client: pair("apiserver-etcd-client")?,
        apiserver_etcd_client: pair("apiserver-etcd-client")?,
        foreign: Foreign {
            ca: stranger.certificate_pem(),
            client: Pair {
                certificate: client.chain_pem(),
                key: client.key_pem().to_string(),
            },
        },
        insecure_key: std::env::home_dir()
            .map(|home| home.join(".vagrant.d/insecure_private_key"))
            .filter(|key| key.is_file()),
        inspect,
        patience: PATIENCE,
    })
}

fn inspect(der: &[u8]) -> Option<Certificate> {
    let found = caravan_pki::Certificate::from_der(der).ok()?;
    let since = found
        .validity()
        .not_after()
        .duration_since(UNIX_EPOCH)
        .ok()?;
    Some(Certificate {
        subject: found.subject_shown(),
        issuer: found.issuer_shown(),
        names: found.sans().iter().map(ToString::to_string).collect(),
        server: found.usages().contains(&Usage::ServerAuth),
        client: found.usages().contains(&Usage::ClientAuth),
        public_key_sha256: found.public_key().ok()?.pin(),
        not_after: i64::try_from(since.as_secs()).ok()?,
    })
}

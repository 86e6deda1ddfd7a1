//! Processes killed at each write step.
//!
//! A test runs this test program again, with a step number in the environment; the child kills itself there, as hard
//! as a power cut that loses nothing already written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Signal, getpid, kill_process};

use super::Store;
use crate::{Authority, AuthoritySpec, CommonName, KeyPolicy, Leaf, Lifetime, Plan, Sans, Secret};

pub(super) const STEP: &str = "CARAVAN_PKI_KILL_AT_STEP";
const FOLDER: &str = "CARAVAN_PKI_KILL_FOLDER";
const JOB: &str = "CARAVAN_PKI_KILL_JOB";

/// Counts the write steps of a child, and ends it at the one it was told.
pub(crate) fn step() {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let Some(last) = std::env::var(STEP)
        .ok()
        .and_then(|step| step.parse::<usize>().ok())
    else {
        return;
    };
    if TAKEN.fetch_add(1, Ordering::Relaxed) + 1 == last {
        kill_process(getpid(), Signal::KILL).unwrap();
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn plan(lists: &[&str]) -> Plan {
    let name = |name| CommonName::try_from(name).unwrap();
    let mut plan = Plan::new();
    plan.authority("ca", AuthoritySpec::new(name("ca")))
        .unwrap();
    let sans = Sans::parse(lists.iter().copied()).unwrap();
    plan.leaf("ca", "nodes/web", Leaf::server(name("web"), sans))
        .unwrap();
    plan.leaf("ca", "client", Leaf::client(name("client")))
        .unwrap();
    plan.key_pair("sa").unwrap();
    plan.ssh_key("ssh/id", "x").unwrap();
    plan.secret("token", Secret::BootstrapToken).unwrap();
    plan
}

#[derive(Debug, Clone, Copy)]
enum Job {
    Create,
    Renew,
    NewKeys,
    Rotate,
    RotateKeyPair,
    Import,
    RenewAuthority,
}

/// An authority from elsewhere; the same for all processes that share a folder.
fn foreign(folder: &Path) -> Authority {
    let file = |extension| folder.with_extension(extension);
    if !file("crt").exists() {
        let spec = AuthoritySpec::new(CommonName::try_from("foreign").unwrap());
        let made = Authority::create(&spec, now()).unwrap();
        std::fs::write(file("key"), made.key_pem().as_bytes()).unwrap();
        std::fs::write(file("crt"), made.certificate_pem()).unwrap();
    }
    let read = |extension| std::fs::read(file(extension)).unwrap();
    Authority::load(&read("crt"), &read("key"), now()).unwrap()
}

fn plan_of_import(folder: &Path) -> Plan {
    let mut plan = plan(&["a"]);
    plan.adopt("ca", foreign(folder).certificate()).unwrap();
    plan
}

fn do_job(job: Job, folder: &Path) {
    let store = Store::open(folder).unwrap();
    match job {
        Job::Create => drop(store.ensure(&plan(&["a"]), now()).unwrap()),
        Job::Renew => drop(store.ensure(&plan(&["b"]), now()).unwrap()),
        Job::NewKeys => drop(
            store
                .renew(&plan(&["a"]), now(), |_| Some(KeyPolicy::New))
                .unwrap(),
        ),
        Job::Rotate => {
            let plan = plan(&["a"]);
            if store.rotation(&plan, "ca").unwrap() == super::Rotation::Idle {
                store.start_rotation(&plan, "ca", now()).unwrap();
            }
            store.switch_rotation(&plan, "ca", now()).unwrap();
            store.finish_rotation(&plan, "ca").unwrap();
        }
        Job::RotateKeyPair => {
            let plan = plan(&["a"]);
            if store.rotation(&plan, "sa").unwrap() == super::Rotation::Idle {
                store.start_rotation(&plan, "sa", now()).unwrap();
            }
            store.switch_rotation(&plan, "sa", now()).unwrap();
            store.finish_rotation(&plan, "sa").unwrap();
        }
        Job::Import => {
            let plan = plan_of_import(folder);
            store
                .import_authority(&plan, "ca", &foreign(folder))
                .unwrap();
            store.ensure(&plan, now()).unwrap();
        }
        Job::RenewAuthority => store
            .renew_authority(&plan(&["a"]), "ca", Lifetime::days(4000), now())
            .unwrap(),
    }
}

/// Not a test of its own: what a child does.
#[test]
fn child() {
    let (Ok(job), Ok(folder)) = (std::env::var(JOB), std::env::var(FOLDER)) else {
        return;
    };
    let job = match job.as_str() {
        "Create" => Job::Create,
        "Renew" => Job::Renew,
        "NewKeys" => Job::NewKeys,
        "Import" => Job::Import,
        "RenewAuthority" => Job::RenewAuthority,
        "RotateKeyPair" => Job::RotateKeyPair,
        _ => Job::Rotate,
    };
    do_job(job, Path::new(&folder));
}

/// The content of every private file under its own name.
fn keys(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files(folder)
        .into_iter()
        .filter(|(path, _)| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            !name.starts_with('.') && (name.ends_with(".key") || name == "id")
        })
        .collect()
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// Kills `job` at each of its steps, does it again to its end, and checks what came of it.
fn killed_at_each_step(job: Job, expected_steps: usize) {
    let mut steps = 0;
    loop {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("pki");
        if matches!(job, Job::Import) {
            foreign(&folder);
        } else if !matches!(job, Job::Create) {
            do_job(Job::Create, &folder);
        }
        let at = steps + 1;
        let program = std::env::current_exe().unwrap();
        let output = duct::cmd(program, ["--exact", "store::kill_tests::child"])
            .env(STEP, at.to_string())
            .env(FOLDER, &folder)
            .env(JOB, format!("{job:?}"))
            .stdout_null()
            .stderr_capture()
            .unchecked()
            .run()
            .unwrap();
        if output.status.success() {
            break;
        }
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&output.status),
            Some(9),
            "{job:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        steps = at;
        check(job, &folder, at);
    }
    assert!(steps >= expected_steps, "{job:?} has {steps} steps");
}

fn check(job: Job, folder: &Path, at: usize) {
    let before = keys(folder);
    let store = Store::open(folder).unwrap();
    let wanted = match job {
        Job::Renew => plan(&["b"]),
        Job::Import => plan_of_import(folder),
        _ => plan(&["a"]),
    };
    match job {
        // These go on where they were.
        Job::Rotate | Job::RotateKeyPair | Job::Import => do_job(job, folder),
        _ => drop(store.ensure(&wanted, now()).unwrap()),
    }
    if !matches!(job, Job::Rotate | Job::RotateKeyPair) {
        // Keys that were there are still there.
        let after = keys(folder);
        for (path, key) in &before {
            assert_eq!(
                after.get(path),
                Some(key),
                "{job:?} at {at}: {}",
                path.display()
            );
        }
    }
    let material = store.load(&wanted).unwrap();
    let ca = material.authority("ca").unwrap().certificate();
    for id in ["nodes/web", "client"] {
        let leaf = material.identity(id).unwrap().certificate();
        assert!(leaf.is_signed_by(ca).unwrap(), "{job:?} at {at}: {id}");
    }
    if matches!(job, Job::Import) {
        assert_eq!(ca, foreign(folder).certificate(), "{job:?} at {at}");
    }
    let again = store.ensure(&wanted, now()).unwrap();
    assert_eq!(again.changes().count(), 0, "{job:?} at {at}");
    let left = files(folder);
    assert!(
        !left
            .keys()
            .any(|path| path.to_string_lossy().contains("/.new-")),
        "{job:?} at {at}: {left:?}"
    );
}

#[test]
fn creation_survives() {
    // Six private and five public files, staged and renamed, and two syncs.
    killed_at_each_step(Job::Create, 24);
}

#[test]
fn renewal_survives() {
    killed_at_each_step(Job::Renew, 4);
}

#[test]
fn a_change_of_keys_survives() {
    killed_at_each_step(Job::NewKeys, 10);
}

#[test]
fn a_rotation_survives() {
    killed_at_each_step(Job::Rotate, 12);
}

#[test]
fn a_rotation_of_a_key_pair_survives() {
    killed_at_each_step(Job::RotateKeyPair, 10);
}

#[test]
fn an_import_survives() {
    killed_at_each_step(Job::Import, 20);
}

#[test]
fn renewal_of_an_authority_survives() {
    killed_at_each_step(Job::RenewAuthority, 3);
}

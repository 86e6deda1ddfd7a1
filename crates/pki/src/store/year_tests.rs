//! A year in the life of a store, by a clock that is set: created, due, renewed, rotated, revoked, imported into, and killed
//! at each write. After every step, OpenSSL's strict mode and Go judge what is there.
//!
//! As in [`super::kill_tests`], a child does each thing and is killed at a step; what comes of it is done again to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::ask_openssl::strict;
use super::kill_tests::STEP;
use super::{Rotation, Store};
use crate::verify::{Purpose, Verifier};
use crate::{
    Authority, AuthoritySpec, Certificate, CommonName, Item, KeyPolicy, Leaf, Lifetime, Plan,
    Revocation, RevocationReason, San, Sans,
};

#[path = "../../tests/openssl/mod.rs"]
#[allow(dead_code)]
mod ask_openssl;

const FOLDER: &str = "CARAVAN_PKI_YEAR_FOLDER";
const EVENT: &str = "CARAVAN_PKI_YEAR_EVENT";

const START: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

/// What happens on a day. Whatever was done of it before, doing it again completes it.
struct Event {
    day: u64,
    what: &'static str,
    /// Whether anything is written.
    writes: bool,
    act: fn(&Store, SystemTime, &Path),
}

const EVENTS: [Event; 18] = [
    event(0, "create", true, ensure_first),
    event(20, "nothing is due", false, ensure_first),
    event(40, "another name", true, ensure_plan),
    event(101, "due", true, ensure_plan),
    event(110, "import", true, import),
    event(120, "revoke", true, revoke),
    event(140, "the list is due", true, list_again),
    event(150, "rotation: trust", true, start),
    event(151, "rotation: switch", true, switch),
    event(152, "rotation: finish", true, finish),
    event(165, "the list is due again", true, list_again),
    event(170, "new keys", true, new_keys),
    event(180, "the authority is renewed", true, renew_authority),
    event(220, "the list is due a third time", true, list_again),
    event(250, "due again", true, ensure_all),
    event(275, "the list is due a fourth time", true, list_again),
    event(330, "the list is due a fifth time", true, list_again),
    event(365, "a year", true, ensure_all),
];

const fn event(
    day: u64,
    what: &'static str,
    writes: bool,
    act: fn(&Store, SystemTime, &Path),
) -> Event {
    Event {
        day,
        what,
        writes,
        act,
    }
}

fn plan(names: &[&str], with_import: Option<&Path>) -> Plan {
    let mut plan = Plan::new();
    let spec = AuthoritySpec::new(name("ca")).with_path_length(1);
    plan.authority("ca", spec).unwrap();
    let below = AuthoritySpec::new(name("issuing")).with_lifetime(Lifetime::days(300));
    plan.intermediate("ca", "issuing", below).unwrap();
    let sans = Sans::parse(names.iter().copied()).unwrap();
    let web = Leaf::server(name("web"), sans).with_lifetime(Lifetime::days(90));
    plan.leaf("issuing", "nodes/web", web).unwrap();
    let client = |id| Leaf::client(name(id)).with_lifetime(Lifetime::days(180));
    plan.leaf("ca", "client", client("client")).unwrap();
    plan.leaf("ca", "lost", client("lost")).unwrap();
    plan.key_pair("sa").unwrap();
    if let Some(outside) = with_import {
        let certificate = fs::read(outside.join("sub.crt")).unwrap();
        let certificate = Certificate::from_pem(&certificate).unwrap();
        plan.authority("sub", AuthoritySpec::from_certificate(&certificate))
            .unwrap();
        let sans = Sans::parse(["edge.example.com"]).unwrap();
        let edge = Leaf::server(name("edge"), sans).with_lifetime(Lifetime::days(60));
        plan.leaf("sub", "edge", edge).unwrap();
    }
    plan
}

const FIRST: [&str; 1] = ["web.example.com"];
const NAMES: [&str; 2] = ["web.example.com", "10.0.0.7"];

fn ensure_first(store: &Store, now: SystemTime, _: &Path) {
    store.ensure(&plan(&FIRST, None), now).unwrap();
}

fn ensure_plan(store: &Store, now: SystemTime, _: &Path) {
    store.ensure(&plan(&NAMES, None), now).unwrap();
}

fn whole(outside: &Path) -> Plan {
    plan(&NAMES, Some(outside))
}

fn ensure_all(store: &Store, now: SystemTime, outside: &Path) {
    store.ensure(&whole(outside), now).unwrap();
}

/// An authority whose root and the one between are elsewhere.
fn import(store: &Store, now: SystemTime, outside: &Path) {
    let read = |file: &str| fs::read(outside.join(file)).unwrap();
    let chain = Certificate::all_from_pem(&read("chain.crt")).unwrap();
    let authority = Authority::load(&read("sub.crt"), &read("sub.key"), now)
        .unwrap()
        .with_chain(chain)
        .unwrap();
    let plan = whole(outside);
    store.import_authority(&plan, "sub", &authority).unwrap();
    store.ensure(&plan, now).unwrap();
}

fn revoke(store: &Store, now: SystemTime, outside: &Path) {
    let plan = whole(outside);
    let material = store.load(&plan).unwrap();
    let lost = material.identity("lost").unwrap().certificate();
    let lost = Revocation::of(lost, RevocationReason::KeyCompromise);
    store
        .revoke(&plan, "ca", [lost], Lifetime::days(60), now)
        .unwrap();
}

fn list_again(store: &Store, now: SystemTime, outside: &Path) {
    let plan = whole(outside);
    store.ensure(&plan, now).unwrap();
    store
        .revoke(&plan, "ca", [], Lifetime::days(60), now)
        .unwrap();
}

fn start(store: &Store, now: SystemTime, outside: &Path) {
    let plan = whole(outside);
    store.ensure(&plan, now).unwrap();
    store.start_rotation(&plan, "ca", now).unwrap();
}

fn switch(store: &Store, now: SystemTime, outside: &Path) {
    store.switch_rotation(&whole(outside), "ca", now).unwrap();
}

fn finish(store: &Store, _: SystemTime, outside: &Path) {
    let plan = whole(outside);
    if store.rotation(&plan, "ca").unwrap() == Rotation::Switched {
        store.finish_rotation(&plan, "ca").unwrap();
    }
}

fn new_keys(store: &Store, now: SystemTime, outside: &Path) {
    let plan = whole(outside);
    let pick = |id: &crate::EntryId| (id.as_str() == "nodes/web").then_some(KeyPolicy::New);
    let made = store.renew(&plan, now, pick).unwrap();
    assert!(made.failures().is_empty(), "{:?}", made.failures());
}

fn renew_authority(store: &Store, now: SystemTime, outside: &Path) {
    let plan = whole(outside);
    store
        .renew_authority(&plan, "ca", Lifetime::days(4000), now)
        .unwrap();
}

/// Not a test of its own: what a child does.
#[test]
fn child() {
    let (Ok(event), Ok(folder)) = (std::env::var(EVENT), std::env::var(FOLDER)) else {
        return;
    };
    let event = &EVENTS[event.parse::<usize>().unwrap()];
    act(event, Path::new(&folder));
}

fn on(day: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START + day * DAY)
}

/// `folder` holds the store, and what comes from outside.
fn act(event: &Event, folder: &Path) {
    let store = Store::open(folder.join("pki")).unwrap();
    (event.act)(&store, on(event.day), &folder.join("outside"));
}

fn outside(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let spec = |text, length, days| {
        AuthoritySpec::new(name(text))
            .with_path_length(length)
            .with_lifetime(Lifetime::days(days))
    };
    let root = Authority::create(&spec("far root", 2, 4000), on(0)).unwrap();
    let policy = root.intermediate(&spec("policy", 1, 3000), on(0)).unwrap();
    let sub = policy.intermediate(&spec("sub", 0, 2000), on(0)).unwrap();
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    write("root.crt", &root.certificate_pem());
    write("chain.crt", &policy.certificate_pem());
    write("sub.crt", &sub.certificate_pem());
    write("sub.key", &sub.key_pem());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The other judges, as far as they are installed.
struct Judges {
    openssl: Option<PathBuf>,
    /// What Go is to judge, all at once in the end: what, and in which state.
    for_go: Vec<(String, String)>,
    by_openssl: usize,
}

impl Judges {
    fn find() -> Self {
        let required =
            std::env::var_os("CARAVAN_REQUIRE_CHECKERS").is_some_and(|value| value == "1");
        let openssl = which::which("openssl").ok();
        if openssl.is_none() {
            assert!(
                !required,
                "`openssl` is not installed, and CARAVAN_REQUIRE_CHECKERS=1 requires it"
            );
            eprintln!("skipped: `openssl` is not installed");
        }
        Self {
            openssl,
            for_go: Vec::new(),
            by_openssl: 0,
        }
    }

    /// Every leaf of `plan` in the store of `folder`, on `day`.
    fn judge(&mut self, plan: &Plan, folder: &Path, day: u64, state: &str) {
        let store = Store::open(folder.join("pki")).unwrap();
        let material = store.load(plan).unwrap();
        let list = store.revocation_list(plan, "ca").unwrap();
        for entry in plan.entries() {
            let Item::Leaf { issuer, leaf } = entry.item() else {
                continue;
            };
            let id = entry.id().as_str();
            let identity = material.identity(id).unwrap();
            // The imported authority is no anchor: its root is.
            let (anchor, trust) = match issuer.as_str() {
                "sub" => (
                    "root",
                    fs::read_to_string(folder.join("outside/root.crt")).unwrap(),
                ),
                _ => ("ca", material.trust_pem("ca").unwrap()),
            };
            let roots = Certificate::all_from_pem(trust.as_bytes()).unwrap();
            let chain = Certificate::all_from_pem(identity.chain_pem().as_bytes()).unwrap();
            let chain: Vec<&Certificate> = chain.iter().collect();
            let (usage, host) = match leaf.sans() {
                Some(sans) => ("server", sans.iter().next().unwrap().to_string()),
                None => ("client", String::new()),
            };
            let purpose = match usage {
                "server" => Purpose::Server(San::try_from(host.as_str()).unwrap()),
                _ => Purpose::Client,
            };
            Verifier::new(&roots)
                .verify(&chain, &purpose, on(day))
                .unwrap_or_else(|error| panic!("{state}: {id}: {error}"));
            // The list says who was revoked, and that one alone: it has been made again since.
            if let (Some(list), "ca", "ca") = (&list, anchor, issuer.as_str()) {
                let judged = Verifier::new(&roots).with_revocation_list(list);
                let good = judged.verify(&chain, &purpose, on(day)).is_ok();
                let serials = list.serials();
                let revoked = serials.contains(&identity.certificate().serial());
                assert_eq!(good, !revoked, "{state}: {id}");
            }
            let file = |name: &str, text: &str| {
                let path = folder.join(format!("{}.{name}", id.replace('/', "-")));
                fs::write(&path, text).unwrap();
                path.to_str().unwrap().to_owned()
            };
            let (trust, sent) = (file("trust", &trust), file("sent", &identity.chain_pem()));
            self.ask_openssl(
                (&trust, &sent),
                (usage, &host),
                day,
                &format!("{state}: {id}"),
            );
            let seconds = START + day * DAY;
            let line = format!("judge\t{trust}\t{sent}\t{usage}\t{host}\t{seconds}");
            self.for_go.push((format!("{state}: {id}"), line));
        }
    }

    fn ask_openssl(
        &mut self,
        (trust, sent): (&str, &str),
        (usage, host): (&str, &str),
        day: u64,
        state: &str,
    ) {
        let Some(openssl) = &self.openssl else {
            return;
        };
        let (seconds, purpose) = ((START + day * DAY).to_string(), format!("ssl{usage}"));
        let mut more = vec![
            "-attime",
            &seconds,
            "-purpose",
            &purpose,
            "-untrusted",
            sent,
        ];
        if !host.is_empty() {
            let flag = match host.parse::<std::net::IpAddr>() {
                Ok(_) => "-verify_ip",
                Err(_) => "-verify_hostname",
            };
            more.extend([flag, host]);
        }
        let output = duct::cmd(openssl, strict(trust, sent, &more))
            .stderr_to_stdout()
            .stdout_capture()
            .unchecked()
            .run()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{state}: {said}");
        self.by_openssl += 1;
    }

    fn ask_go(&self) {
        let required =
            std::env::var_os("CARAVAN_REQUIRE_CHECKERS").is_some_and(|value| value == "1");
        let Ok(go) = which::which("go") else {
            assert!(
                !required,
                "`go` is not installed, and CARAVAN_REQUIRE_CHECKERS=1 requires it"
            );
            eprintln!("skipped: `go` is not installed");
            return;
        };
        let lines: Vec<&str> = self.for_go.iter().map(|(_, line)| line.as_str()).collect();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/go/main.go");
        let said = duct::cmd!(go, "run", program)
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .stdin_bytes(lines.join("\n"))
            .read()
            .unwrap();
        let verdicts: Vec<&str> = said.lines().collect();
        assert_eq!(verdicts.len(), lines.len());
        for (verdict, (state, _)) in verdicts.iter().zip(&self.for_go) {
            assert_eq!(*verdict, "ok", "{state}");
        }
    }
}

#[test]
fn a_year_of_a_store_that_is_killed_at_each_write() {
    let scratch = tempfile::tempdir().unwrap();
    let mut before = scratch.path().join("start");
    fs::create_dir(&before).unwrap();
    outside(&before.join("outside"));
    let mut judges = Judges::find();
    let mut kills = 0;
    for (index, event) in EVENTS.iter().enumerate() {
        let plan = match event.day {
            0..=39 => plan(&FIRST, None),
            40..=109 => plan(&NAMES, None),
            _ => whole(&before.join("outside")),
        };
        let mut at = 0;
        loop {
            at += 1;
            let folder = scratch.path().join(format!("{index}.{at}"));
            copy(&before, &folder);
            let state = format!("day {}, {}, killed at write {at}", event.day, event.what);
            let program = std::env::current_exe().unwrap();
            let output = duct::cmd(program, ["--exact", "store::year_tests::child"])
                .env(STEP, at.to_string())
                .env(FOLDER, &folder)
                .env(EVENT, index.to_string())
                .stdout_capture()
                .stderr_to_stdout()
                .unchecked()
                .run()
                .unwrap();
            let is_whole = output.status.success();
            if !is_whole {
                use std::os::unix::process::ExitStatusExt;
                let said = String::from_utf8_lossy(&output.stdout);
                assert_eq!(output.status.signal(), Some(9), "{state}: {said}");
                kills += 1;
                act(event, &folder);
            }
            judges.judge(&plan, &folder, event.day, &state);
            // Nothing is half done, and nothing is done twice.
            let store = Store::open(folder.join("pki")).unwrap();
            if !event.what.starts_with("the list") && event.what != "revoke" {
                let again = store.ensure(&plan, on(event.day)).unwrap();
                let changes: Vec<_> = again.changes().collect();
                assert!(changes.is_empty(), "{state}: {changes:?}");
            }
            if is_whole {
                assert_eq!(at > 1, event.writes, "{}", event.what);
                before = folder;
                break;
            }
        }
    }
    judges.ask_go();
    assert!(kills > 80, "{kills} kills");
    println!(
        "{kills} kills, {} judgements of OpenSSL, {} of Go",
        judges.by_openssl,
        judges.for_go.len()
    );
}

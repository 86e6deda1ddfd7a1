//! What scripts do over the years: authorities below authorities, lists, changes of keys, requests, bundles, strangers.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use caravan_pki::store::Store;
use caravan_pki::{AuthoritySpec, CommonName, Leaf, Lifetime, Plan};
use expect_test::expect;

use super::{check, done, run, words};

/// Standard output alone, as JSON.
fn json(folder: &Path, command: &str, expected: i32) -> serde_json::Value {
    let output = duct::cmd(env!("CARGO_BIN_EXE_caravan-pki"), words(command))
        .dir(folder)
        .stdout_capture()
        .stderr_null()
        .unchecked()
        .run()
        .unwrap();
    assert_eq!(output.status.code(), Some(expected), "{command}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_authority_below_another_issues_with_its_chain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(
        folder,
        "init --store pki --id root --cn root --path-length 1",
    );
    let below = "init --store pki --id issuing --issuer root --cn issuing --days 900 --permit example.com --permit 10.0.0.0/8 --exclude secret.example.com";
    check(
        folder,
        below,
        0,
        expect![[r#"
        made pki/issuing.crt
    "#]],
    );
    check(
        folder,
        below,
        0,
        expect![[r#"
        kept pki/issuing.crt
    "#]],
    );
    done(
        folder,
        "issue web --store pki --ca issuing --server --san web.example.com --hours 48",
    );
    done(
        folder,
        "verify --ca pki/root.crt --server web.example.com pki/web.fullchain.crt",
    );
    let chain = done(folder, "bundle --store pki web");
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(
        chain,
        fs::read_to_string(folder.join("pki/web.fullchain.crt")).unwrap()
    );
    check(
        folder,
        "issue out --store pki --ca issuing --server --san a.secret.example.com",
        1,
        expect![[r#"
            error: a certificate of `out` would be refused: DNS name `a.secret.example.com` is excluded by `issuing` above it (RFC 5280 4.2.1.10)
        "#]],
    );
    // Other than what is there: done where the issuer is, and refused of a root.
    check(
        folder,
        "init --store pki --id issuing --issuer root --cn issuing --days 900 --permit example.com",
        0,
        expect![[r#"
            changed pki/issuing.crt
        "#]],
    );
    check(
        folder,
        "init --store pki --id root --cn root",
        1,
        expect![[r#"
            error: `pki/root.crt` is there already, with path length 1

            hint: ask for the same, or for another name in the store: --id NAME
        "#]],
    );
    check(
        folder,
        "init --store pki --id root --cn root --path-length 1 --days 10",
        0,
        expect![[r#"
            its lifetime stays 3650 days until it is renewed: another takes effect then
            kept pki/root.crt
        "#]],
    );
}

#[test]
fn what_is_revoked_is_refused_and_stays_in_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, "init --store pki --cn example");
    done(folder, "issue lost --store pki --client");
    done(folder, "issue other --store pki --client");
    let said = done(folder, "revoke --store pki lost --reason keyCompromise");
    assert!(
        said.starts_with("revoked 1: pki/ca.crl lists 1; the next list is due by "),
        "{said}"
    );
    check(
        folder,
        "verify --ca pki/ca.crt --crl pki/ca.crl --client pki/lost.crt",
        1,
        expect![[r#"
            error: certificate of `lost` is not trusted as client: it was revoked
        "#]],
    );
    done(
        folder,
        "verify --ca pki/ca.crt --crl pki/ca.crl --client pki/other.crt",
    );
    done(
        folder,
        "revoke --store pki --serial 0a0b --reason superseded",
    );
    let list = json(folder, "revoke --store pki --json", 0);
    assert_eq!(list["number"], 3);
    assert_eq!(list["revoked"].as_array().unwrap().len(), 2);
    assert_eq!(list["revoked"][0]["reason"], "superseded");
    let (status, output) = run(folder, &words("revoke --store pki lost --reason bored"));
    assert_eq!(status, 2);
    assert!(
        output.contains("[possible values: unspecified, keyCompromise"),
        "{output}"
    );
    done(folder, "init --store pki --id another --cn another");
    check(
        folder,
        "revoke --store pki --ca another lost",
        1,
        expect![[r#"
            error: `another` did not sign `pki/lost.crt`

            hint: its issuer is `example`: --ca names it
        "#]],
    );
}

#[test]
fn an_authoritys_key_changes_in_three_steps() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, "init --store pki --cn example");
    done(folder, "issue web --store pki --client");
    let trusted = || {
        let text = done(folder, "bundle --store pki ca");
        text.matches("BEGIN CERTIFICATE").count()
    };
    check(
        folder,
        "rotate --store pki ca",
        0,
        expect![[r#"
        ca: idle: one authority is trusted, and signs
    "#]],
    );
    check(
        folder,
        "rotate --store pki ca finish",
        1,
        expect![[r#"
            error: no switched rotation of named `ca`

            hint: `rotate ID start` and `rotate ID switch` come first
        "#]],
    );
    check(
        folder,
        "rotate --store pki ca start",
        0,
        expect![[r#"
        ca: started: the coming authority is trusted beside the old one
        next: deploy the trust everywhere (`caravan-pki bundle --store 'pki' ca` prints what to trust); then `caravan-pki rotate --store 'pki' ca switch`
    "#]],
    );
    assert_eq!(trusted(), 2);
    check(
        folder,
        "rotate --store pki ca switch",
        0,
        expect![[r#"
        ca: switched: the new authority signs, the old one is still trusted
        renewed web
        next: deploy the new certificates; then `caravan-pki rotate --store 'pki' ca finish`
    "#]],
    );
    let state = json(folder, "rotate --store pki ca --json", 0);
    assert_eq!(state["trusted"], 2);
    done(folder, "rotate --store pki ca finish");
    assert_eq!(trusted(), 1);
    done(folder, "verify --ca pki/ca.crt --client pki/web.crt");
}

#[test]
fn requests_are_made_and_signed_over_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, "init --store pki --cn example");
    let make = [
        "csr",
        "--key",
        "web.key",
        "--cn",
        "web.example.com",
        "--san",
        "web.example.com",
    ];
    let issue = [
        "issue",
        "--store",
        "pki",
        "--request",
        "-",
        "--server",
        "--san",
        "web.example.com",
    ];
    let program = env!("CARGO_BIN_EXE_caravan-pki");
    let request = duct::cmd(program, make)
        .dir(folder)
        .stderr_null()
        .read()
        .unwrap();
    assert_eq!(
        fs::metadata(folder.join("web.key")).unwrap().mode() & 0o777,
        0o600
    );
    let signed = |request: &str| {
        let command = duct::cmd(program, issue).dir(folder);
        command.stdin_bytes(request).read().unwrap()
    };
    let certificate = signed(&request);
    // The same key again.
    let again = duct::cmd(program, make).dir(folder).read().unwrap();
    assert_ne!(again, "");
    fs::write(folder.join("web.crt"), &certificate).unwrap();
    let verify = [
        "verify",
        "--ca",
        "pki/ca.crt",
        "--server",
        "web.example.com",
        "-",
    ];
    let said = duct::cmd(program, verify)
        .dir(folder)
        .stdin_bytes(certificate.as_str())
        .read()
        .unwrap();
    assert_eq!(said, "- is trusted as server `web.example.com`");
    let seen = duct::cmd(program, ["inspect", "--json", "-"])
        .dir(folder)
        .stdin_bytes(certificate.as_str())
        .read()
        .unwrap();
    assert!(seen.contains("CN=web.example.com"), "{seen}");
}

#[test]
fn bundles_are_written_for_those_who_may_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, "init --store pki --cn example");
    done(folder, "issue web --store pki --client");
    let mode = |file: &str| {
        fs::metadata(folder.join(file))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    let group = fs::metadata(folder.join("pki/web.crt")).unwrap().gid();
    done(folder, "bundle --store pki web --out chain.pem");
    assert_eq!(mode("chain.pem"), 0o644);
    done(folder, "bundle --store pki web --key --out both.pem");
    assert_eq!(mode("both.pem"), 0o600);
    let text = fs::read_to_string(folder.join("both.pem")).unwrap();
    assert!(text.contains("BEGIN CERTIFICATE") && text.contains("BEGIN PRIVATE KEY"));
    done(
        folder,
        &format!("bundle --store pki web --key --out both.pem --mode 0640 --group {group}"),
    );
    assert_eq!(mode("both.pem"), 0o640);
    for (command, said) in [
        (
            "bundle --store pki ca --key",
            "is an authority, whose key is for nobody else",
        ),
        (
            "bundle --store pki web --out x --group no-such-group",
            "there is no group `no-such-group`",
        ),
        ("bundle --store pki nothing", "in it are: ca, web"),
    ] {
        let (status, output) = run(folder, &words(command));
        assert_eq!(status, 1);
        assert!(output.contains(said), "{output}");
    }
    assert_eq!(
        run(folder, &words("bundle --store pki web --out x --mode 888")).0,
        2
    );
}

/// A store with a certificate that was due long ago.
fn overdue(folder: &Path) {
    let name = |name| CommonName::try_from(name).unwrap();
    let mut plan = Plan::new();
    plan.authority("ca", AuthoritySpec::new(name("example")))
        .unwrap();
    for id in ["a", "b"] {
        let leaf = Leaf::client(name(id)).with_lifetime(Lifetime::days(9));
        plan.leaf("ca", id, leaf).unwrap();
    }
    let then = SystemTime::now() - Duration::from_secs(8 * 86_400);
    Store::open(folder.join("pki"))
        .unwrap()
        .ensure(&plan, then)
        .unwrap();
}

#[test]
fn a_dry_run_writes_nothing_and_a_renewal_tells_those_who_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    overdue(folder);
    let read = || ["a", "b"].map(|id| fs::read(folder.join(format!("pki/{id}.crt"))).unwrap());
    let before = read();
    let said = done(folder, "renew --store pki --dry-run");
    assert_eq!(said.matches("would renew ").count(), 2, "{said}");
    assert_eq!(read(), before);
    let exec = |command: &str| run(folder, &["renew", "--store", "pki", "--exec", command]);
    let (status, output) = exec("echo \"reload $CARAVAN_PKI_RENEWED\"");
    assert_eq!(status, 0);
    assert!(output.ends_with("reload a b\n"), "{output}");
    assert_ne!(read(), before);
    // Nothing renewed, nobody told.
    let (status, output) = exec("false");
    assert_eq!((status, output.as_str()), (0, "nothing is due\n"));
    let args = ["renew", "--store", "pki", "a", "--exec", "exit 7"];
    let (status, output) = run(folder, &args);
    assert_eq!(status, 1);
    assert!(output.contains("the command after it failed"), "{output}");
    // One document, which says what was done and what failed.
    let list = json(folder, "renew --store pki --json a --exec false", 1);
    let list = list.as_array().unwrap();
    assert!(
        list.iter()
            .any(|one| one["id"] == "a" && one["renewed"] == true)
    );
    let last = list.last().unwrap();
    assert_eq!(last["command"], "false");
    assert!(
        last["error"]
            .as_str()
            .unwrap()
            .contains("the command after it failed")
    );
}

#[test]
fn strangers_are_named_and_the_others_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    overdue(folder);
    let damaged = fs::read_to_string(folder.join("pki/a.crt"))
        .unwrap()
        .replacen("MI", "AA", 1);
    fs::write(folder.join("pki/a.crt"), damaged).unwrap();
    let (status, output) = run(folder, &words("renew --store pki"));
    assert_eq!(status, 3, "{output}");
    assert!(
        output.contains("left out: `pki/a.crt`: malformed certificate"),
        "{output}"
    );
    assert!(output.contains("renewed b: valid only until"), "{output}");
    // One more beside it.
    done(folder, "issue c --store pki --client");
    let list = json(folder, "renew --store pki --json", 3);
    assert_eq!(list[0]["file"], "pki/a.crt");
    assert_eq!(list[0]["renewed"], false);
}

/// One that would outlive its authority is left, and that is a failure.
#[test]
fn what_could_not_be_renewed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let name = |name| CommonName::try_from(name).unwrap();
    let mut plan = Plan::new();
    let ca = AuthoritySpec::new(name("example")).with_lifetime(Lifetime::days(10));
    plan.authority("ca", ca).unwrap();
    for (id, days) in [("long", 9), ("short", 1)] {
        let leaf = Leaf::client(name(id)).with_lifetime(Lifetime::days(days));
        plan.leaf("ca", id, leaf).unwrap();
    }
    let then = SystemTime::now() - Duration::from_secs(8 * 86_400);
    Store::open(folder.join("pki"))
        .unwrap()
        .ensure(&plan, then)
        .unwrap();
    let (status, output) = run(folder, &words("renew --store pki"));
    assert_eq!(status, 1, "{output}");
    for part in [
        "renewed short: valid only until",
        "error: long: cannot use `pki/long.crt`\n  certificate of `long` would be valid until",
        "hint: renew `example` first",
        "ca is due: `caravan-pki renew --store 'pki' ca`",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let list = json(folder, "renew --store pki --json", 1);
    let failed = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == "long")
        .unwrap();
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("longer than its issuer")
    );
}

#[test]
fn failures_are_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let found = json(folder, "renew --store nothing --json", 1);
    assert_eq!(found["error"], "there is no folder `nothing`");
    assert!(found["hint"].as_str().unwrap().contains("init"));
}

/// What is trusted is authorities: a kubeconfig's user, trusted by mistake, would vouch for itself.
#[test]
fn only_authorities_are_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, "init --store pki --cn example");
    done(folder, "issue web --store pki --client");
    check(
        folder,
        "verify --ca pki/web.crt --client pki/web.crt",
        1,
        expect![[r#"
            error: `pki/web.crt` cannot be trusted: the certificate of `web` in it is no authority's

            hint: give the certificates of the authorities alone
        "#]],
    );
    let pem = fs::read(folder.join("pki/web.crt")).unwrap();
    let key = fs::read(folder.join("pki/web.key")).unwrap();
    let data = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let config = format!(
        "apiVersion: v1\nkind: Config\nusers:\n- name: x\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        data(&pem),
        data(&key)
    );
    fs::write(folder.join("x.conf"), config).unwrap();
    let (status, output) = run(folder, &words("verify --ca x.conf --client pki/web.crt"));
    assert_eq!(status, 1);
    assert!(
        output.contains("it is a kubeconfig, whose certificates are its users'"),
        "{output}"
    );
    // Whatever it comes through: also one whose user is an authority, or has no certificate at all.
    let ca = fs::read(folder.join("pki/ca.crt")).unwrap();
    let by_authority = fs::read_to_string(folder.join("x.conf"))
        .unwrap()
        .replace(&data(&pem), &data(&ca));
    let without = "apiVersion: v1\nkind: Config\nusers:\n- name: x\n  user: {token: abc}\n";
    for config in [by_authority.as_str(), without] {
        fs::write(folder.join("y.conf"), config).unwrap();
        for (ca, input) in [("y.conf", ""), ("-", config)] {
            let output = duct::cmd(
                env!("CARGO_BIN_EXE_caravan-pki"),
                ["verify", "--ca", ca, "--client", "pki/web.crt"],
            )
            .dir(folder)
            .stdin_bytes(input)
            .stderr_to_stdout()
            .stdout_capture()
            .unchecked()
            .run()
            .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("it is a kubeconfig"), "{said}");
        }
    }
    let (status, output) = run(
        folder,
        &words("verify --ca localhost:1 --client pki/web.crt"),
    );
    assert_eq!(status, 1);
    assert!(output.contains("is not asked whom to trust"), "{output}");
}

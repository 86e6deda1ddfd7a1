//! Authorities that are brought, due, past their end, or gone.

use std::path::Path;
use std::time::{Duration, SystemTime};

use caravan_pki::store::Store;
use caravan_pki::{AuthoritySpec, CommonName, Lifetime, Plan};
use expect_test::expect;

use super::{check, run};

#[test]
fn authorities_are_brought_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "--store", "old", "--cn", "example"]);
    let import = "init --store pki --import old/ca.crt old/ca.key";
    for said in ["imported pki/ca.crt\n", "kept pki/ca.crt\n"] {
        let (status, output) = run(folder, &import.split(' ').collect::<Vec<_>>());
        assert_eq!((status, output.as_str()), (0, said));
    }
    run(folder, &["init", "--store", "other", "--cn", "example"]);
    check(
        folder,
        "init --store pki --import other/ca.crt other/ca.key",
        1,
        expect![[r#"
            error: `pki/ca.key` exists already

            hint: existing files are not overwritten: move it away, or choose another name
        "#]],
    );
    // The file at fault is named, and a failed import leaves no folder.
    check(
        folder,
        "init --store none --import old/ca.crt other/ca.key",
        1,
        expect![[r#"
            error: cannot use `other/ca.key`
              private key does not belong to the certificate of `example`

            hint: put back the certificate and the key that were made together
        "#]],
    );
    assert!(!folder.join("none").exists());
}

/// An authority made `days` ago for `lifetime` days, as a store in `folder`.
fn old_authority(folder: &Path, days: u64, lifetime: u32) {
    let spec = AuthoritySpec::new(CommonName::try_from("example").unwrap());
    let mut plan = Plan::new();
    plan.authority("ca", spec.with_lifetime(Lifetime::days(lifetime)))
        .unwrap();
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    Store::open(folder).unwrap().ensure(&plan, then).unwrap();
}

#[test]
fn an_authority_is_renewed_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    old_authority(&folder.join("pki"), 800, 900);
    check(
        folder,
        "renew --store pki",
        3,
        expect![[r#"
            ca is due: `caravan-pki renew --store 'pki' ca`
        "#]],
    );
    check(
        folder,
        "renew --store pki ca --new-key",
        1,
        expect![[r#"
            error: `ca` is an authority: with another key, nothing trusts it

            hint: renew it with the same key, or change the key in three steps: `caravan-pki rotate --store 'pki' ca start`
        "#]],
    );
    check(
        folder,
        "renew --store pki ca",
        0,
        expect![[r#"
            renewed ca: as requested; give it to all who trust it
        "#]],
    );
    check(
        folder,
        "renew --store pki",
        0,
        expect![[r#"
            nothing is due
        "#]],
    );
}

#[test]
fn an_expired_authority_says_how_it_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    old_authority(&folder.join("pki"), 40, 30);
    let args = ["issue", "x", "--store", "pki", "--client", "--days", "9"];
    let (status, output) = run(folder, &args);
    assert_eq!(status, 1);
    assert!(
        output
            .starts_with("error: cannot use `pki/ca.crt`\n  certificate of `example` expired at ")
    );
    let hint = "hint: `caravan-pki renew --store 'pki' ca` renews it with the same key\n";
    assert!(output.ends_with(hint), "{output}");
    run(folder, &["renew", "--store", "pki", "ca"]);
    assert_eq!(run(folder, &args).0, 0);
}

#[test]
fn what_cannot_be_renewed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "--store", "pki", "--cn", "example"]);
    run(folder, &["issue", "x", "--store", "pki", "--client"]);
    std::fs::remove_file(folder.join("pki/ca.key")).unwrap();
    check(
        folder,
        "renew --store pki",
        3,
        expect![[r#"
            left out: `pki/x.crt`: its issuer `example` is not here with its key
            nothing is due
        "#]],
    );
    check(
        folder,
        "issue y --store pki --client",
        1,
        expect![[r#"
            error: `pki/ca.crt` cannot sign here

            hint: an authority needs its key beside it
        "#]],
    );
}

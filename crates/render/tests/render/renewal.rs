//! What a master's `renew-certificates` decides, with files and processes put before it.

use std::path::Path;

use caravan_process::Program;

use crate::checkers::checker;

/// What the script defines, with the machine's files below `$FOLDER` and every program running since `$SINCE` seconds.
const RENEWAL: &str = r#"
set -Eeuo pipefail
CA=$FOLDER/pki/ca.crt CARAVAN_PATIENCE=1
source <(sed "/^source /d; /^mode=/,\$d; s|/etc/kubernetes|$FOLDER|g" "$RENEW_CERTIFICATES")
pid_of() { echo 7; }
ps() { echo "$SINCE"; }
"#;

fn run(bash: &Program, folder: &Path, since: &str, script: &str) -> String {
    let renewal = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("templates/usr/lib/caravan")
        .join("renew-certificates");
    let output = bash
        .call(["-c", &format!("{RENEWAL}\n{script}")])
        .env("RENEW_CERTIFICATES", renewal)
        .env("FOLDER", folder)
        .env("SINCE", since)
        .output()
        .unwrap();
    assert!(output.success(), "{output:#?}");
    output.stdout.trim().to_owned()
}

#[test]
fn whoever_began_before_its_trust_came_is_started_anew_at_a_word_and_by_no_timer() {
    let Some(bash) = checker("bash") else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("pki/etcd")).unwrap();
    let find = |mode: &str, since: &str| {
        let script = format!("mode={mode}\nfind_stale\necho \"${{STALE[*]}}\"");
        run(&bash, folder.path(), since, &script)
    };
    // Files come with the time of no day.
    let bring = |path: &str| {
        let script = format!("touch --date @0 $FOLDER/pki/{path}");
        run(&bash, folder.path(), "0", &script);
    };
    assert_eq!(find("follow", "100"), "", "there is nothing to be read");
    bring("etcd/ca.crt");
    assert_eq!(find("follow", "100"), "kube-apiserver");
    assert_eq!(find("all", "100"), "kube-apiserver");
    assert_eq!(find("due", "100"), "");
    assert_eq!(find("follow", "-100"), "", "it has read that");
    bring("ca.crt");
    bring("sa.key");
    let all = "kube-apiserver kube-controller-manager";
    assert_eq!(find("follow", "100"), all);
    // What kubeadm makes has the time when it was made, and the timer looks at it too.
    run(&bash, folder.path(), "0", "touch $FOLDER/scheduler.conf");
    assert_eq!(find("due", "100"), "kube-scheduler");
    assert_eq!(find("follow", "100"), format!("{all} kube-scheduler"));
}

#[test]
fn kubeconfigs_trust_whom_their_machine_trusts() {
    let Some(bash) = checker("bash") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let authority = "-----BEGIN CERTIFICATE-----\none\n-----END CERTIFICATE-----\n";
    std::fs::create_dir(path("pki")).unwrap();
    std::fs::write(path("pki/ca.crt"), authority.repeat(2)).unwrap();
    let kubeconfig = |trust: &str| {
        format!("clusters:\n- cluster:\n    certificate-authority-data: {trust}\n    server: x\n")
    };
    let kubelet = "clusters:\n- cluster:\n    certificate-authority: /etc/kubernetes/pki/ca.crt\n";
    std::fs::write(path("admin.conf"), kubeconfig("b25l")).unwrap();
    std::fs::write(path("kubelet.conf"), kubelet).unwrap();
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let trust = || {
        // One that is right is not written again: who has read it would be started anew.
        let script =
            "trust_in_kubeconfigs; stat --format %i $FOLDER/admin.conf; base64 --wrap 0 $CA";
        run(&bash, folder.path(), "0", script)
    };
    let said = trust();
    let (_, both) = said.split_once('\n').unwrap();
    assert_eq!(read("admin.conf"), kubeconfig(both));
    assert_eq!(read("kubelet.conf"), kubelet, "it reads the file itself");
    assert_eq!(trust(), said);
    let count = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(count, 3, "nothing is left beside them");
}

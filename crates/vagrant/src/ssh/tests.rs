use super::known_hosts::without;
use super::*;

fn remote(through: Option<&str>) -> Remote {
    Ssh::with(Program::at("/usr/bin/ssh"), "/lab/id", "/lab/known")
        .to(Ipv4Addr::new(192, 168, 29, 61), through)
}

#[test]
fn nothing_of_the_users_own_is_used() {
    let shown = remote(None).call(&["true"]).to_string();
    for part in [
        "-F none",
        "IdentityFile=/lab/id",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "UserKnownHostsFile=/lab/known",
        "StrictHostKeyChecking=accept-new",
        "BatchMode=yes",
        "vagrant@192.168.29.61 -- true",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains("Proxy"));
}

#[test]
fn a_path_is_one_file_whatever_is_in_its_name() {
    let ssh = Ssh::with(Program::at("ssh"), "/my lab/100%/id", "/my lab/known");
    let options = ssh.to(Ipv4Addr::LOCALHOST, None).options();
    for option in [
        "IdentityFile=\"/my lab/100%%/id\"",
        "UserKnownHostsFile=\"/my lab/known\"",
    ] {
        assert!(options.iter().any(|it| it == option), "{options:?}");
    }
}

#[test]
fn another_computer_is_gone_through_with_the_users_settings() {
    let shown = remote(Some("ssh://me@server2:2222"))
        .call(&["true"])
        .to_string();
    assert!(
        shown.contains(
            "'ProxyCommand=/usr/bin/ssh -o BatchMode=yes -W %h:%p ssh://me@server2:2222'"
        ),
        "{shown}"
    );
}

#[test]
fn a_host_key_is_forgotten_and_no_other() {
    let known = "192.168.29.6 ecdsa A\n192.168.29.61 ecdsa B\n\n# 192.168.29.61\n";
    assert_eq!(
        without(known, Ipv4Addr::new(192, 168, 29, 61)),
        "192.168.29.6 ecdsa A\n\n# 192.168.29.61\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let ssh = Ssh::with(Program::at("ssh"), "id", folder.path().join("known"));
    ssh.forget(Ipv4Addr::LOCALHOST).expect("no file, no key");
    std::fs::write(folder.path().join("known"), known).expect("a file");
    ssh.forget(Ipv4Addr::new(192, 168, 29, 6)).expect("forgets");
    let left = std::fs::read_to_string(folder.path().join("known")).expect("a file");
    assert_eq!(left, "192.168.29.61 ecdsa B\n\n# 192.168.29.61\n");
}

#[test]
fn what_ssh_says_is_understood() {
    let said = |status, stderr: &str| {
        remote(None).refusal(&Output {
            stdout: String::new(),
            stderr: stderr.to_owned(),
            status,
        })
    };
    assert!(said(Some(1), "Connection refused").is_none());
    assert!(matches!(
        said(
            Some(255),
            "ssh: connect to host 192.168.29.61 port 22: Connection refused"
        ),
        Some(Error::NotReached { .. })
    ));
    assert!(matches!(
        said(
            Some(255),
            "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
        ),
        Some(Error::HostKeyChanged { .. })
    ));
}

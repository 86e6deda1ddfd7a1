use super::*;

fn computer(
    identity: Option<&str>,
    unknown_host: UnknownHost,
    through: Option<&str>,
) -> SshComputer {
    SshComputer::new(
        Program::at("/usr/bin/ssh"),
        "vagrant@192.168.29.61",
        SshAccess {
            identity: identity.map(PathBuf::from),
            known_hosts: "/lab/known".into(),
            unknown_host,
            through: through.map(|it| Box::new(through_server(it))),
            connect_seconds: CONNECT_SECONDS,
            connect_attempts: 1,
            pace: Pace::USUAL,
            shared: None,
        },
    )
}

fn through_server(destination: &str) -> SshComputer {
    SshComputer::new(
        Program::at("/usr/bin/ssh"),
        destination,
        SshAccess {
            identity: None,
            known_hosts: "/my lab/100%/servers".into(),
            unknown_host: UnknownHost::Refuse,
            through: None,
            connect_seconds: CONNECT_SECONDS,
            connect_attempts: 1,
            pace: Pace::USUAL,
            shared: None,
        },
    )
}

#[test]
fn with_a_key_nothing_of_the_users_own_is_used() {
    let machine = computer(Some("/lab/id"), UnknownHost::Accept, None);
    let shown = machine.call(["true"]).to_string();
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
    assert!(
        !machine.shown().contains("BatchMode"),
        "questions may be asked"
    );
}

#[test]
fn without_one_the_users_settings_open_it_and_whom_the_user_has_met_is_known() {
    let shown = computer(None, UnknownHost::Refuse, None)
        .call(["true"])
        .to_string();
    for part in ["-F none", "Identit", "GlobalKnownHostsFile"] {
        assert!(!shown.contains(part), "{part} is in {shown}");
    }
    for part in [
        "'UserKnownHostsFile=/lab/known ~/.ssh/known_hosts ~/.ssh/known_hosts2'",
        "StrictHostKeyChecking=yes",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn a_path_is_one_file_whatever_is_in_its_name() {
    let mut machine = computer(Some("/my lab/100%/id"), UnknownHost::Accept, None);
    machine.access.known_hosts = "/my lab/known".into();
    let options = machine.options();
    for option in [
        "IdentityFile=\"/my lab/100%%/id\"",
        "UserKnownHostsFile=\"/my lab/known\"",
    ] {
        assert!(options.iter().any(|it| it == option), "{options:?}");
    }
}

#[test]
fn another_computer_is_gone_through_with_the_users_settings_and_its_own_list_of_keys() {
    let shown = computer(
        Some("/lab/id"),
        UnknownHost::Accept,
        Some("ssh://me@server2:2222"),
    )
    .call(["true"])
    .to_string();
    let proxy = shown.split("ProxyCommand=").nth(1).expect("a way");
    for part in [
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "-W %h:%p ssh://me@server2:2222",
        // Read by ssh, a shell, and ssh once more: each takes a layer of quotes or percent signs.
        "100%%%%/servers",
    ] {
        assert!(proxy.contains(part), "{part} is not in {proxy}");
    }
    assert!(!proxy.contains("-F none"), "{proxy}");
}

#[test]
fn the_last_words_tell_a_wrong_key_from_an_unknown_one() {
    let changed = "@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.\n";
    let unknown = "No ED25519 host key is known for server2 and you have requested strict checking.\nHost key verification failed.\n";
    for (policy, said, is_changed) in [
        (UnknownHost::Accept, changed, true),
        (UnknownHost::Refuse, changed, true),
        (UnknownHost::Refuse, unknown, false),
    ] {
        let error = computer(None, policy, None).not_reached(said);
        let Error::HostKey { host, changed, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (host.as_str(), *changed),
            ("vagrant@192.168.29.61", is_changed)
        );
        let hint = error.hint("the tool").expect("a hint");
        let word = if is_changed {
            "ssh-keygen -R 192.168.29.61 -f /lab/known"
        } else {
            "ssh-keyscan"
        };
        assert!(hint.contains(word), "{hint}");
    }
}

#[test]
fn hosts_are_named_as_lists_of_keys_have_them() {
    for (destination, host) in [
        ("vagrant@192.168.29.61", "192.168.29.61"),
        ("server2", "server2"),
        ("ssh://me@server2", "server2"),
        ("ssh://me@server2:22", "server2"),
        ("ssh://me@server2:2222", "[server2]:2222"),
        ("ssh://me@[2001:db8::7]:2222", "[2001:db8::7]:2222"),
        ("ssh://[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
    ] {
        assert_eq!(known_hosts::listed_host(destination), host, "{destination}");
    }
}

#[test]
fn a_host_key_is_forgotten_and_no_other() {
    let known = "192.168.29.6 ecdsa A\n192.168.29.61 ecdsa B\n\n# 192.168.29.61\n";
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("known");
    forget_host_key(&list, "192.168.29.61").expect("no file, no key");
    std::fs::write(&list, known).expect("a file");
    forget_host_key(&list, "192.168.29.6").expect("forgets");
    let left = std::fs::read_to_string(&list).expect("a file");
    assert_eq!(left, "192.168.29.61 ecdsa B\n\n# 192.168.29.61\n");
}

#[test]
fn slow_computers_are_given_time_to_let_us_in() {
    let mut slow = computer(None, UnknownHost::Accept, None);
    slow.access.pace = Pace::EMULATED;
    let shown = slow.shown();
    for option in ["ConnectTimeout=32", "ServerAliveInterval=16"] {
        assert!(shown.contains(option), "{shown}");
    }
}

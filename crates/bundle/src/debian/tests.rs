use super::*;

fn sources(files: &[(&str, &str)]) -> Option<String> {
    sources_for(Suite::Bookworm, files)
}

fn sources_for(suite: Suite, files: &[(&str, &str)]) -> Option<String> {
    let apt = tempfile::tempdir().unwrap();
    fs::create_dir(apt.path().join("sources.list.d")).unwrap();
    for (name, text) in files {
        fs::write(apt.path().join(name), text).unwrap();
    }
    host_sources(apt.path(), suite)
}

#[test]
fn the_own_mirrors_are_used() {
    let deb822 = "# ours\nTypes: deb deb-src\nURIs: http://mirror.internal/debian\nSuites: bookworm bookworm-updates \
                  bookworm-backports\nComponents: main contrib\n";
    let expected = format!(
        "Types: deb\nURIs: http://mirror.internal/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
         Signed-By: {KEYRING}\n"
    );
    assert_eq!(
        sources(&[("sources.list.d/debian.sources", deb822)]),
        Some(expected.clone())
    );
    let old = "deb http://mirror.internal/debian bookworm main contrib\n";
    assert_eq!(
        sources(&[("sources.list", old)]),
        Some(expected.replace("bookworm bookworm-updates", "bookworm"))
    );
}

#[test]
fn other_releases_and_third_parties_are_not() {
    for (why, text) in [
        (
            "a release of no base system",
            "deb http://mirror.example/debian bullseye main",
        ),
        (
            "Ubuntu",
            "deb http://mirror.example/ubuntu jammy main universe",
        ),
        (
            "sources only",
            "deb-src http://mirror.example/debian bookworm main",
        ),
        (
            "a third party",
            "deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] https://apt.vendor.example bookworm main",
        ),
        (
            "updates alone",
            "deb http://mirror.example/debian bookworm-updates main",
        ),
    ] {
        assert_eq!(sources(&[("sources.list.d/x.list", text)]), None, "{why}");
    }
    let disabled = "Types: deb\nURIs: http://x\nSuites: bookworm\nComponents: main\nEnabled: no\n";
    assert_eq!(sources(&[("sources.list.d/x.sources", disabled)]), None);
}

#[test]
fn only_settings_for_fetching_are_taken() {
    let dump = "APT::Architecture \"amd64\";\nAcquire \"\";\nAcquire::http::Proxy \"http://proxy:3128\";\n\
                Acquire::Languages:: \"none\";\nAcquire::Languages \"\";\n\
                Acquire::IndexTargets::deb::Packages::Optional \"0\";\nDPkg::Post-Invoke:: \"touch /x\";\n";
    assert_eq!(
        acquire_lines(dump),
        "Acquire::http::Proxy \"http://proxy:3128\";\nAcquire::Languages:: \"none\";\n"
    );
}

#[test]
fn a_mirror_has_every_release() {
    let own = "deb http://mirror.internal/debian bookworm main\n\
               deb http://mirror.internal/debian bookworm-updates main\n\
               deb http://mirror.internal/security bookworm-security main\n";
    let other = sources_for(Suite::Trixie, &[("sources.list", own)]).unwrap();
    assert!(!other.contains("bookworm"), "{other}");
    for suite in ["trixie\n", "trixie-updates\n", "trixie-security\n"] {
        assert!(other.contains(&format!("Suites: {suite}")), "{other}");
    }
    // What is said of the release itself comes first.
    let both = [
        ("sources.list", own),
        (
            "sources.list.d/newer.list",
            "deb http://newer.internal/debian trixie main\n",
        ),
    ];
    let newer = sources_for(Suite::Trixie, &both).unwrap();
    assert!(
        newer.contains("newer.internal") && !newer.contains("mirror.internal"),
        "{newer}"
    );
}

use super::*;

const STATUS: &str = "\
Package: conntrack\nStatus: install ok installed\nDepends: libc6 (>= 2.34)\n\n\
Package: iptables\nStatus: install ok installed\nDepends: libc6 (>= 2.34), libx:any (= 1) | liby\n\n\
Package: nftables\nStatus: install ok installed\nDepends: liby, debconf (>= 0.5) | debconf-2.0\n\n\
Package: libx\nStatus: deinstall ok config-files\n\n\
Package: liby\nStatus: install ok installed\nDepends: virtual-thing\n\n\
Package: debconf\nStatus: install ok installed\nDepends: perl-base\n\n\
Package: perl-base\nStatus: install ok installed\n\n\
Package: libc6\nStatus: install ok installed\n";

/// A small base system with the tools.
pub(crate) fn base(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("root.tar");
    let mut tar = tar::Builder::new(File::create(&path).unwrap());
    let mut add =
        |path: &str, text: &str| oci::add_bytes(&mut tar, path, text.as_bytes(), 0o755).unwrap();
    add("./var/lib/dpkg/status", STATUS);
    add("./var/lib/dpkg/info/conntrack.list", "/usr/sbin/conntrack");
    add(
        "./var/lib/dpkg/info/nftables.list",
        "/.\n/usr\n/usr/sbin\n/usr/sbin/nft\n/usr/share/doc/nftables/copyright",
    );
    add(
        "./var/lib/dpkg/info/iptables.list",
        "/usr/sbin/xtables-nft-multi",
    );
    add(
        "./var/lib/dpkg/info/libc6:amd64.list",
        "/lib/libc.so.6\n/lib/gconv/UTF-7.so",
    );
    add("./var/lib/dpkg/info/perl-base.list", "/usr/bin/perl");
    add("./var/lib/dpkg/info/liby.list", "/usr/lib/liby.so");
    for path in ["conntrack", "nft", "xtables-nft-multi"] {
        add(&format!("./usr/sbin/{path}"), path);
    }
    for path in [
        "lib/libc.so.6",
        "lib/gconv/UTF-7.so",
        "lib/liby.so",
        "bin/perl",
        "share/doc/nftables/copyright",
    ] {
        add(&format!("./usr/{path}"), path);
    }
    tar.append_link(
        &mut oci::header(0, 0o777, tar::EntryType::Symlink),
        "./lib",
        "usr/lib",
    )
    .unwrap();
    tar.into_inner().unwrap();
    path
}

#[test]
fn the_tools_come_with_what_they_need_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let layer = folder.path().join("layer.tar");
    write(&base(folder.path()), &layer).unwrap();
    let paths: Vec<String> = tar::Archive::new(File::open(&layer).unwrap())
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let link = entry
                .link_name()
                .unwrap()
                .map(|to| format!(" -> {}", to.display()))
                .unwrap_or_default();
            format!("{}{link}", entry.path().unwrap().display())
        })
        .collect();
    let expected = "etc/ etc/passwd run/ tmp/ lib -> usr/lib usr/ usr/lib/ usr/lib/libc.so.6 usr/lib/liby.so \
                    usr/sbin/ usr/sbin/conntrack usr/sbin/ip6tables -> xtables-nft-multi usr/sbin/nft";
    for path in expected.replace(" -> ", ">").split_whitespace() {
        let path = path.replace('>', " -> ");
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }
    for absent in [
        "usr/bin/perl",
        "usr/lib/gconv/UTF-7.so",
        "usr/share/doc/nftables/copyright",
    ] {
        assert!(!paths.contains(&absent.to_owned()), "{absent}");
    }
}

#[test]
fn a_base_without_the_tools_is_refused_by_name() {
    let database = Database::default();
    let error = database.files_of(&["nftables"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the base system lacks the package `nftables`"
    );
}

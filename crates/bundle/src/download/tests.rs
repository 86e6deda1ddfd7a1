use std::collections::BTreeMap;
use std::net::TcpListener;

use super::server::{Server, Way};
use super::*;
use crate::pins::{Arch, Packing};
use crate::progress::Silent;

fn artifact(name: &str, content: &[u8]) -> Artifact {
    Artifact {
        name: name.to_owned(),
        version: "1".to_owned(),
        arch: Arch::Amd64,
        kind: Packing::Binary,
        url: format!("https://host/{name}"),
        sha256: digest::of_bytes(content),
        take: BTreeMap::from([(name.to_owned(), format!("bin/{name}"))]),
        sum_from: "test".to_owned(),
        sum_agrees_with: None,
    }
}

/// A downloader that asks `server` for everything.
fn downloader(server: &Server, folder: &Path) -> Downloader {
    // Long enough for a busy computer; only servers that fall silent make a test wait for it.
    waiting(server, folder, Duration::from_secs(20))
}

/// A downloader that gives up after `stall`.
fn waiting(server: &Server, folder: &Path, stall: Duration) -> Downloader {
    Downloader::new(
        folder.to_owned(),
        Some(format!("http://{}/", server.address)),
        stall,
    )
}

const TEXT: &[u8] = b"The quick brown fox jumps over the lazy dog.";

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_good_file_is_kept_under_its_sum_and_not_asked_for_again() {
    let server = Server::start(&[("tool", Way::Well, TEXT)]);
    let folder = tempfile::tempdir().unwrap();
    let downloader = downloader(&server, folder.path());
    let tool = artifact("tool", TEXT);
    downloader.fetch(&tool, &Silent).unwrap();
    downloader.fetch(&tool, &Silent).unwrap();
    assert_eq!(fs::read(downloader.path(&tool.sha256)).unwrap(), TEXT);
    assert_eq!(names(folder.path()), std::slice::from_ref(&tool.sha256));
    assert_eq!(server.requests(), ["tool"]);
    downloader.clear([tool.sha256.as_str()]).unwrap();
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_kept_file_that_rotted_comes_again() {
    let server = Server::start(&[("tool", Way::Well, TEXT)]);
    let folder = tempfile::tempdir().unwrap();
    let downloader = downloader(&server, folder.path());
    let tool = artifact("tool", TEXT);
    fs::write(downloader.path(&tool.sha256), "rotten").unwrap();
    downloader.fetch(&tool, &Silent).unwrap();
    assert_eq!(fs::read(downloader.path(&tool.sha256)).unwrap(), TEXT);
}

#[test]
fn a_wrong_file_is_refused_and_not_kept() {
    let server = Server::start(&[("tool", Way::Well, b"something else")]);
    let folder = tempfile::tempdir().unwrap();
    let error = downloader(&server, folder.path())
        .fetch(&artifact("tool", TEXT), &Silent)
        .unwrap_err();
    let Error::WrongSum {
        url,
        found,
        expected,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*url, format!("http://{}/host/tool", server.address));
    assert_eq!(
        (found, expected),
        (
            &digest::of_bytes(b"something else"),
            &digest::of_bytes(TEXT)
        )
    );
    assert!(names(folder.path()).is_empty());
    assert_eq!(
        server.requests().len(),
        1,
        "the same bytes would come again"
    );
    assert!(error.hint("tool").is_some());
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let server = Server::start(&[("tool", Way::Well, TEXT)]);
    let folder = tempfile::tempdir().unwrap();
    let downloader = downloader(&server, folder.path());
    let tool = artifact("tool", TEXT);
    fs::write(
        downloader.path(&tool.sha256).with_extension("part"),
        &TEXT[..10],
    )
    .unwrap();
    downloader.fetch(&tool, &Silent).unwrap();
    assert_eq!(fs::read(downloader.path(&tool.sha256)).unwrap(), TEXT);
    assert_eq!(server.requests(), ["tool from 10"]);
}

#[test]
fn a_server_without_ranges_sends_all_of_it() {
    let server = Server::start(&[("tool", Way::Whole, TEXT)]);
    let folder = tempfile::tempdir().unwrap();
    let downloader = downloader(&server, folder.path());
    let tool = artifact("tool", TEXT);
    fs::write(
        downloader.path(&tool.sha256).with_extension("part"),
        "other bytes",
    )
    .unwrap();
    downloader.fetch(&tool, &Silent).unwrap();
    assert_eq!(fs::read(downloader.path(&tool.sha256)).unwrap(), TEXT);
}

#[test]
fn a_part_of_another_file_is_thrown_away() {
    let server = Server::start(&[("tool", Way::Well, TEXT)]);
    for part in [&b"other bytes"[..], &[b'x'; 100]] {
        let folder = tempfile::tempdir().unwrap();
        let downloader = downloader(&server, folder.path());
        let tool = artifact("tool", TEXT);
        fs::write(downloader.path(&tool.sha256).with_extension("part"), part).unwrap();
        downloader.fetch(&tool, &Silent).unwrap();
        assert_eq!(fs::read(downloader.path(&tool.sha256)).unwrap(), TEXT);
    }
    assert_eq!(
        server.requests(),
        ["tool from 11", "tool", "tool from 100", "tool"]
    );
}

#[test]
fn cut_and_silent_connections_are_taken_up_again() {
    for way in [Way::CutOnce, Way::StallOnce] {
        let server = Server::start(&[("tool", way, TEXT)]);
        let folder = tempfile::tempdir().unwrap();
        let downloader = waiting(&server, folder.path(), Duration::from_secs(1));
        let tool = artifact("tool", TEXT);
        downloader.fetch(&tool, &Silent).unwrap();
        assert_eq!(fs::read(downloader.path(&tool.sha256)).unwrap(), TEXT);
        assert_eq!(server.requests(), ["tool", "tool from 22"]);
    }
}

#[test]
fn a_truncated_file_is_named_with_both_lengths() {
    let server = Server::start(&[("tool", Way::Cut, TEXT)]);
    let folder = tempfile::tempdir().unwrap();
    let error = downloader(&server, folder.path())
        .fetch(&artifact("tool", TEXT), &Silent)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Truncated {
                received: 0,
                expected: 44,
                ..
            } | Error::Transfer { .. }
        ),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), ATTEMPTS as usize);
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Server::start(&[("tool", Way::Stall, TEXT)]);
    let folder = tempfile::tempdir().unwrap();
    let downloader = waiting(&server, folder.path(), Duration::from_millis(300));
    let error = downloader
        .fetch(&artifact("tool", TEXT), &Silent)
        .unwrap_err();
    assert!(
        matches!(error, Error::Stalled { received: 0, .. }),
        "{error:?}"
    );
    assert!(error.is_unreachable());
    assert_eq!(
        server.requests().len(),
        1,
        "a server that sends nothing is not asked again"
    );
}

#[test]
fn refusals_are_named_and_only_passing_ones_tried_again() {
    for (status, requests) in [(404, 1), (403, 1), (503, 3)] {
        let server = Server::start(&[("tool", Way::Status(status), TEXT)]);
        let folder = tempfile::tempdir().unwrap();
        let error = downloader(&server, folder.path())
            .fetch(&artifact("tool", TEXT), &Silent)
            .unwrap_err();
        let url = format!("http://{}/host/tool", server.address);
        assert_eq!(
            error.to_string(),
            format!("the server answered {status} for `{url}`")
        );
        assert_eq!(server.requests().len(), requests, "{status}");
    }
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let downloader = Downloader::new(
        folder.path().to_owned(),
        Some(mirror),
        Duration::from_millis(300),
    );
    let error = downloader
        .fetch(&artifact("tool", TEXT), &Silent)
        .unwrap_err();
    assert!(matches!(error, Error::Transfer { .. }), "{error:?}");
    assert!(error.is_unreachable());
}

#[test]
fn several_files_come_at_once() {
    let files = [
        ("a", &b"first"[..]),
        ("b", b"second"),
        ("c", b"third"),
        ("d", b"fourth"),
    ];
    // The server answers none of them before it has been asked for all four.
    let server = Server::start(&files.map(|(name, content)| (name, Way::Together, content)));
    let folder = tempfile::tempdir().unwrap();
    let artifacts = files.map(|(name, content)| artifact(name, content));
    downloader(&server, folder.path())
        .fetch_artifacts(&artifacts, &Silent)
        .unwrap();
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn the_first_fault_is_told_whatever_the_others_do() {
    let server = Server::start(&[("good", Way::Well, TEXT), ("bad", Way::Status(404), b"")]);
    let folder = tempfile::tempdir().unwrap();
    let artifacts = [artifact("good", TEXT), artifact("bad", b"never")];
    let error = downloader(&server, folder.path())
        .fetch_artifacts(&artifacts, &Silent)
        .unwrap_err();
    assert!(
        matches!(error, Error::Denied { status: 404, .. }),
        "{error:?}"
    );
}

#[test]
fn what_is_wanted_is_taken_out_of_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("x.tgz");
    let gzip =
        flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    crate::oci::add_bytes(&mut tar, "./x-1/tool", b"tool", 0o700).unwrap();
    crate::oci::add_bytes(&mut tar, "x-1/README", b"read me", 0o644).unwrap();
    tar.into_inner().unwrap().finish().unwrap();

    let bundle = folder.path().join("bundle");
    let mut wanted = artifact("x", b"");
    wanted.kind = Packing::TarGz;
    wanted.take = BTreeMap::from([("x-1/tool".to_owned(), "bin/tool".to_owned())]);
    place(&wanted, &packed, &bundle).unwrap();
    assert_eq!(names(&bundle.join("bin")), ["tool"]);

    wanted
        .take
        .insert("x-1/other".to_owned(), "bin/other".to_owned());
    let error = place(&wanted, &packed, &bundle).unwrap_err();
    assert!(
        matches!(&error, Error::NotInArchive { member, .. } if member == "x-1/other"),
        "{error}"
    );

    fs::write(&packed, "no gzip").unwrap();
    assert!(matches!(
        place(&wanted, &packed, &bundle),
        Err(Error::Archive { .. })
    ));
}

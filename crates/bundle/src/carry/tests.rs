use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::progress::Silent;
use crate::shelf::tests::{ID, cache, put_bundle};
use crate::shelf::{list, verify};

#[test]
fn a_bundle_travels() {
    let (folder, from) = cache();
    put_bundle(&from, ID);
    let file = folder.path().join("bundle.tar.gz");
    export(&from, "0123", &file, &Silent).unwrap();
    assert!(!folder.path().join("bundle.tar.gz.part").exists());
    assert!(fs::metadata(&file).unwrap().len() < 1 << 20, "it is packed");

    let (_other, to) = cache();
    // Twice: what is there is kept.
    for _ in 0..2 {
        let bundles = import(&to, &file, &Silent).unwrap().bundles;
        assert_eq!(bundles.len(), 1);
        assert_eq!(bundles[0].id, ID);
    }
    let (sent, came) = (list(&from).unwrap(), list(&to).unwrap());
    assert_eq!((sent.len(), came.len()), (1, 1));
    assert_eq!(came[0].content, sent[0].content);
    assert_eq!(came[0].software, sent[0].software);
    let tool = came[0].dir.join("bin/kubeadm");
    assert_eq!(
        fs::metadata(&tool).unwrap().permissions().mode() & 0o777,
        0o755
    );
    assert!(verify(&to, &Silent).unwrap().is_empty());
    assert_eq!(fs::read_dir(to.tmp().unwrap()).unwrap().count(), 0);
}

#[test]
fn the_same_bundle_is_packed_the_same() {
    let (folder, cache) = cache();
    put_bundle(&cache, ID);
    let files = ["one", "two"].map(|name| folder.path().join(name));
    for file in &files {
        export(&cache, ID, file, &Silent).unwrap();
    }
    assert!(fs::read(&files[0]).unwrap() == fs::read(&files[1]).unwrap());
}

#[test]
fn damaged_exports_are_refused_whole() {
    let (folder, from) = cache();
    put_bundle(&from, ID);
    let file = folder.path().join("bundle.tar.gz");
    export(&from, ID, &file, &Silent).unwrap();
    let good = fs::read(&file).unwrap();
    // A byte of a file's content, packed again as if nothing were wrong: the manifest's sum finds it. A bit of the packed
    // bytes could be padding, which means nothing.
    let changed = {
        let mut plain = Vec::new();
        GzDecoder::new(&good[..]).read_to_end(&mut plain).unwrap();
        let middle = plain.len() / 2;
        plain[middle] ^= 0x10;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain).unwrap();
        gzip.finish().unwrap()
    };
    // The stream's own checksum, which nothing but reading to the very end meets.
    let mut last = good.clone();
    let place = last.len() - 5;
    last[place] ^= 0x10;
    let other = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&[0; 2048]).unwrap();
        gzip.finish().unwrap()
    };
    for (why, bytes) in [
        ("cut off", &good[..good.len() / 2]),
        ("changed on the way", &changed),
        ("changed at the very end", &last),
        ("not gzip", b"hello"),
        ("an empty tar", &other),
        ("empty", b""),
    ] {
        fs::write(&file, bytes).unwrap();
        let (_folder, to) = cache();
        let Err(error) = import(&to, &file, &Silent) else {
            panic!("{why}: imported")
        };
        assert!(
            matches!(error, Error::NotAnExport { .. } | Error::Damaged { .. }),
            "{why}: {error}"
        );
        assert!(list(&to).unwrap().is_empty(), "{why}");
        assert_eq!(fs::read_dir(to.tmp().unwrap()).unwrap().count(), 0, "{why}");
    }
}

/// An export with `files` beside its mark.
fn forged(files: &[(&str, &[u8])], to: &Path) {
    let mut archive = tar::Builder::new(GzEncoder::new(
        File::create(to).unwrap(),
        Compression::fast(),
    ));
    oci::add_bytes(&mut archive, MARK, MARK_TEXT.as_bytes(), 0o644).unwrap();
    for (path, content) in files {
        // The name goes in as it is: the library would refuse `..`.
        let mut header = oci::header(content.len() as u64, 0o644, tar::EntryType::Regular);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}

#[test]
fn forged_exports_write_nowhere_else() {
    let (folder, to) = cache();
    let file = folder.path().join("forged.tar.gz");
    let manifest = |path: &str| {
        serde_json::to_vec(&serde_json::json!({
            "id": ID, "about": null,
            "files": [{"path": path, "size": 1, "mode": 0o644, "sha256": digest::of_bytes(b"x")}],
        }))
        .unwrap()
    };
    let escape = manifest("../../../escaped");
    let named = format!("bundles/{ID}/manifest.json");
    let escaping = format!("bundles/{ID}/../../../escaped");
    let undeclared = format!("bundles/{ID}/extra");
    let plain = manifest("data");
    type Members<'a> = Vec<(&'a str, &'a [u8])>;
    let cases: [(&str, Members<'_>); 5] = [
        (
            "a path that leaves",
            vec![(&named, &escape), (&escaping, b"x")],
        ),
        (
            "an id that leaves",
            vec![("bundles/../manifest.json", &plain)],
        ),
        (
            "another folder of the cache",
            vec![("locks/x/manifest.json", &plain)],
        ),
        ("a file without manifest", vec![(&undeclared, b"x")]),
        (
            "a file that its manifest does not name",
            vec![(&named, &plain), (&undeclared, b"x")],
        ),
    ];
    for (why, files) in cases {
        forged(&files, &file);
        let error = import(&to, &file, &Silent).unwrap_err();
        assert!(matches!(error, Error::NotAnExport { .. }), "{why}: {error}");
    }
    assert!(!folder.path().join("escaped").exists());
    assert!(list(&to).unwrap().is_empty());
}

#[test]
fn a_damaged_bundle_is_not_exported() {
    let (folder, cache) = cache();
    let place = put_bundle(&cache, ID);
    fs::write(place.join("data"), "short").unwrap();
    let file = folder.path().join("bundle.tar.gz");
    assert!(matches!(
        export(&cache, ID, &file, &Silent),
        Err(Error::Damaged { .. })
    ));
    assert!(!file.exists() && !folder.path().join("bundle.tar.gz.part").exists());
}

#[test]
fn a_damaged_bundle_is_replaced_by_an_import() {
    let (folder, cache) = cache();
    let place = put_bundle(&cache, ID);
    let file = folder.path().join("bundle.tar.gz");
    export(&cache, ID, &file, &Silent).unwrap();
    fs::write(place.join("data"), "short").unwrap();
    import(&cache, &file, &Silent).unwrap();
    assert!(verify(&cache, &Silent).unwrap().is_empty());
}

#[test]
fn bundles_are_found_by_the_beginning_of_their_id() {
    let (folder, cache) = cache();
    put_bundle(&cache, ID);
    put_bundle(&cache, &ID.replace("abcdef", "fedcba"));
    let to = folder.path().join("x");
    for ambiguous_or_unknown in ["0123", "f00"] {
        let error = export(&cache, ambiguous_or_unknown, &to, &Silent).unwrap_err();
        assert!(matches!(error, Error::UnknownBundle { .. }), "{error}");
    }
    export(&cache, "0123456789a", &to, &Silent).unwrap();
}

/// An export of a bundle and a box, whose manifest says that it is for `arch`.
fn with_box(cache: &Cache, arch: Arch, file: &Path) {
    put_bundle(cache, ID);
    let id = ID.replace('0', "b");
    let workshop = cache.workshop("box").unwrap();
    fs::write(workshop.join("machine.box"), "a disk").unwrap();
    let about = serde_json::json!({
        "name": format!("caravan-machine-{}-{arch}", &id[..16]), "hypervisor": "libvirt", "arch": arch,
        "image": "caravan-machine:0123456789abcdef",
    });
    entry::finish(&workshop, &cache.boxes().unwrap().join(&id), about).unwrap();
    export(cache, ID, file, &Silent).unwrap();
}

#[test]
fn a_box_travels_and_its_catalogue_says_where_it_lies_now() {
    let (folder, from) = cache();
    let file = folder.path().join("bundle.tar.gz");
    with_box(&from, Arch::host().unwrap(), &file);
    let (_other, to) = cache();
    let boxes = import(&to, &file, &Silent).unwrap().boxes;
    assert_eq!(boxes, crate::machine_box::list(&to).unwrap());
    let catalogue = fs::read_to_string(&boxes[0].json).unwrap();
    let place = to.root().join("boxes").display().to_string();
    assert!(catalogue.contains(&place), "{catalogue}");
    assert!(verify(&to, &Silent).unwrap().is_empty());

    // What is damaged later is found, named, and not carried on.
    let file_of_box = boxes[0].dir.join("machine.box");
    fs::write(&file_of_box, "a disc").unwrap();
    let damaged = verify(&to, &Silent).unwrap();
    assert!(
        damaged.len() == 1 && damaged[0].to_string().contains("machine.box"),
        "{damaged:?}"
    );
    let again = export(&to, ID, &folder.path().join("again"), &Silent);
    assert!(matches!(again, Err(Error::Damaged { .. })), "{again:?}");
    import(&to, &file, &Silent).unwrap();
    assert!(verify(&to, &Silent).unwrap().is_empty());
}

#[test]
fn a_box_of_another_processor_is_refused_by_both_names() {
    let other = match Arch::host().unwrap() {
        Arch::Amd64 => Arch::Arm64,
        Arch::Arm64 => Arch::Amd64,
    };
    let (folder, from) = cache();
    let file = folder.path().join("bundle.tar.gz");
    with_box(&from, other, &file);
    let (_other, to) = cache();
    let error = import(&to, &file, &Silent).unwrap_err();
    let text = error.to_string();
    for words in [
        "amd64",
        "arm64",
        "the box caravan-machine-b123456789abcdef-",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert!(error.hint("the tool").unwrap().contains("the tool bake"));
    assert!(list(&to).unwrap().is_empty(), "nothing of it is taken");
}

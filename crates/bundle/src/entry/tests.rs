use super::*;

/// An entry of two files, and the folder that holds it.
fn entry() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let workshop = folder.path().join("workshop");
    fs::create_dir_all(workshop.join("bin")).unwrap();
    fs::write(workshop.join("bin/tool"), "#!/bin/true\n").unwrap();
    fs::set_permissions(workshop.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(workshop.join("data"), "0123456789").unwrap();
    let place = folder.path().join("0123");
    finish(&workshop, &place, "a test").unwrap();
    (folder, place)
}

fn set_changed(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[test]
fn whole_entries_open() {
    let (_folder, place) = entry();
    let manifest = open(&place).unwrap().unwrap();
    assert_eq!(manifest.id, "0123");
    assert_eq!(manifest.about::<String>(&place).unwrap(), "a test");
    let paths: Vec<&str> = manifest
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(paths, ["bin/tool", "data"]);
    assert!(verify(&place, &manifest).is_empty());
    assert!(open(&place.with_file_name("none")).unwrap().is_none());
}

#[test]
fn damage_is_found_on_use() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("not there", |place| {
            fs::remove_file(place.join("data")).unwrap()
        }),
        ("has 5 bytes", |place| {
            fs::write(place.join("data"), "01234").unwrap()
        }),
        ("sha256", |place| {
            fs::write(place.join("data"), "0123456780").unwrap();
            set_changed(&place.join("data"), 12345);
        }),
        ("mode", |place| {
            fs::set_permissions(place.join("bin/tool"), fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("no file", |place| {
            fs::remove_file(place.join("data")).unwrap();
            fs::create_dir(place.join("data")).unwrap();
        }),
    ];
    for (named, harm) in harms {
        let (_folder, place) = entry();
        harm(&place);
        let error = open(&place).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(
            error.to_string().contains(named),
            "{error} says nothing of `{named}`"
        );
        let manifest = read(&place).unwrap().unwrap();
        assert_eq!(verify(&place, &manifest).len(), 1, "{named}");
    }
}

#[test]
fn only_a_full_check_reads_what_keeps_size_and_time() {
    let (_folder, place) = entry();
    let data = place.join("data");
    let before = fs::metadata(&data).unwrap().modified().unwrap();
    fs::write(&data, "012345678X").unwrap();
    File::options()
        .write(true)
        .open(&data)
        .unwrap()
        .set_modified(before)
        .unwrap();
    let manifest = open(&place)
        .unwrap()
        .expect("the cheap check cannot see it");
    assert_eq!(verify(&place, &manifest).len(), 1);
}

#[test]
fn copies_with_new_times_are_read_once_and_sealed_again() {
    let (_folder, place) = entry();
    set_changed(&place.join("data"), 1);
    let sealed = fs::read(place.join(SEAL)).unwrap();
    assert!(open(&place).unwrap().is_some());
    assert_ne!(fs::read(place.join(SEAL)).unwrap(), sealed);
}

#[test]
fn a_manifest_that_cannot_be_read_is_no_entry_to_use() {
    let (_folder, place) = entry();
    fs::write(place.join(MANIFEST), "{").unwrap();
    assert!(matches!(open(&place), Err(Error::Malformed { .. })));
}

#[test]
fn paths_stay_below() {
    for (path, contained) in [
        ("bin/tool", true),
        ("../up", false),
        ("/etc/passwd", false),
        ("a/../../b", false),
        ("", false),
    ] {
        assert_eq!(is_contained(path), contained, "{path}");
    }
}

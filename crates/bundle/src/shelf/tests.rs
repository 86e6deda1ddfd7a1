use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::progress::Silent;
use crate::{Arch, SoftwareSource, software_of};

pub(crate) const ID: &str = "0123456789abcdef0123456789abcdef";

/// A cache, and its folder.
pub(crate) fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    (folder, cache)
}

/// Puts a small bundle named `id` into `cache`.
pub(crate) fn put_bundle(cache: &Cache, id: &str) -> PathBuf {
    let workshop = cache.workshop(&format!("bundle-{id}")).unwrap();
    fs::create_dir(workshop.join("bin")).unwrap();
    let tool = workshop.join("bin/kubeadm");
    fs::write(&tool, format!("kubeadm of {id}")).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(workshop.join("data"), vec![7; 3 << 20]).unwrap();
    let about = serde_json::json!({
        "source": SoftwareSource::Go,
        "arch": Arch::host().unwrap(),
        "software": software_of("1.36").unwrap(),
    });
    let place = cache.bundles().unwrap().join(id);
    entry::finish(&workshop, &place, about).unwrap();
    place
}

#[test]
fn damage_is_listed_file_by_file() {
    let (_folder, cache) = cache();
    let place = put_bundle(&cache, ID);
    assert!(verify(&cache, &Silent).unwrap().is_empty());
    fs::write(place.join("bin/kubeadm"), "something else").unwrap();
    fs::remove_file(place.join("data")).unwrap();
    let damaged = verify(&cache, &Silent).unwrap();
    assert_eq!(damaged.len(), 2);
    assert!(
        damaged
            .iter()
            .all(|error| matches!(error, Error::Damaged { .. }))
    );
}

#[test]
fn pruning_keeps_what_is_wanted_or_in_work() {
    let (_folder, cache) = cache();
    let (wanted, worked_on, old) = (ID, ID.replace('0', "1"), ID.replace('0', "2"));
    for id in [wanted, &worked_on, &old] {
        put_bundle(&cache, id);
    }
    let _lock = cache.lock(&format!("bundle-{worked_on}"), &Silent).unwrap();
    let _workshop = cache.workshop(&format!("bundle-{worked_on}")).unwrap();
    fs::create_dir(cache.tmp().unwrap().join("bundle-of-a-dead-runner")).unwrap();
    fs::write(cache.downloads().unwrap().join("x.part"), "x").unwrap();

    let pruned = prune(&cache, &[wanted.to_owned()]).unwrap();
    assert_eq!(pruned.entries, [old]);
    assert!(pruned.bytes > 3 << 20);
    let left: Vec<String> = list(&cache)
        .unwrap()
        .into_iter()
        .map(|bundle| bundle.id)
        .collect();
    assert_eq!(left, [wanted.to_owned(), worked_on.clone()]);
    let left: Vec<String> = entries(&cache.tmp().unwrap())
        .unwrap()
        .iter()
        .map(|place| name(place))
        .collect();
    assert_eq!(left, [format!("bundle-{worked_on}")]);
    assert_eq!(fs::read_dir(cache.downloads().unwrap()).unwrap().count(), 0);
}

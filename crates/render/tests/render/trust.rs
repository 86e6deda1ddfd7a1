//! While the key of an authority changes, machines that judge by it hold both of its certificates.

use crate::labs;

use std::collections::BTreeMap;
use std::time::SystemTime;

use caravan_lab::{Lab, Provider};
use caravan_pki::store::Store;
use caravan_render::{Material, Renderer, Software, pki_plan};

/// Returns how many certificates each file of each role has that is said to be an authority's.
fn counts(lab: &Lab, store: &Store) -> BTreeMap<String, usize> {
    let made = store.load(&pki_plan(lab).unwrap()).unwrap();
    let material = Material::new(lab, &made).unwrap();
    let settings = labs::settings(Provider::Docker);
    let software = Software::example();
    let renderer = Renderer::new(lab, &software, &settings, &material).unwrap();
    let mut counts = BTreeMap::new();
    for machine in lab.machines() {
        for file in renderer.guest_files(machine).unwrap() {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            if name.ends_with("ca.crt") || name == "ca-signer.crt" {
                let place = format!("{} {}", machine.role.word(), file.path);
                let count = file.content.matches("BEGIN CERTIFICATE").count();
                let before = counts.insert(place, count);
                assert!(before.is_none_or(|before| before == count), "{}", file.path);
            }
        }
    }
    counts
}

#[test]
fn whoever_judges_by_an_authority_trusts_both_keys() {
    let lab = labs::lab("ha");
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("pki")).unwrap();
    let (plan, now) = (pki_plan(&lab).unwrap(), SystemTime::now());
    store.ensure(&plan, now).unwrap();
    // The controller manager refuses two certificates where it signs.
    let expect = |kubernetes: usize, front_proxy: usize, etcd: usize| {
        let places = [
            ("control-plane /etc/kubernetes/pki/ca-signer.crt", 1),
            ("control-plane /etc/kubernetes/pki/ca.crt", kubernetes),
            ("control-plane /etc/kubernetes/pki/etcd/ca.crt", etcd),
            (
                "control-plane /etc/kubernetes/pki/front-proxy-ca.crt",
                front_proxy,
            ),
            ("etcd /etc/etcd/pki/ca.crt", etcd),
            ("load-balancer /etc/haproxy/k8s-ca.crt", kubernetes),
            ("worker /etc/kubernetes/pki/ca.crt", kubernetes),
        ];
        let places = places.map(|(place, count)| (place.to_owned(), count));
        assert_eq!(counts(&lab, &store), BTreeMap::from(places));
    };
    expect(1, 1, 1);
    store.start_rotation(&plan, "etcd-ca", now).unwrap();
    expect(1, 1, 2);
    store.start_rotation(&plan, "ca", now).unwrap();
    store.start_rotation(&plan, "front-proxy-ca", now).unwrap();
    expect(2, 2, 2);
    store.switch_rotation(&plan, "ca", now).unwrap();
    store.ensure(&plan, now).unwrap();
    expect(2, 2, 2);
    store.finish_rotation(&plan, "ca").unwrap();
    expect(1, 2, 2);
}

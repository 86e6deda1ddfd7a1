//! The real thing: a Go build, a machine image. Run by name where Go and an engine are:
//!
//! ```text
//! cargo test -p caravan-bundle --test real -- --ignored --nocapture --test-threads 1
//! ```
#![allow(missing_docs, reason = "tests")]

use std::path::PathBuf;
use std::time::Instant;

use caravan_bundle::docker;
use caravan_bundle::machine_box::{self, BoxRecipe, Hypervisor};
use caravan_bundle::{
    Base, Bundle, BundleEvent, Cache, DownloadSettings, Progress, Silent, SoftwareSource,
};

/// Prints steps and notes with times, for people who run this by hand.
struct Loud;

impl Progress for Loud {
    fn event(&self, event: &BundleEvent<'_>) {
        match event {
            BundleEvent::Ended { text, seconds } => println!("{seconds:7.1} s  {text}"),
            BundleEvent::Note { text } => println!("           {text}"),
            _ => {}
        }
    }
}

/// The cache that the tool uses by default.
fn users_cache() -> Cache {
    let set = std::env::var_os("CARAVAN_CACHE").map(PathBuf::from);
    let home = std::env::home_dir().map(|home| home.join(".cache/caravan"));
    Cache::open(&set.or(home).expect("a home")).unwrap()
}

fn built(cache: &Cache, progress: &dyn Progress) -> Bundle {
    let settings = DownloadSettings::default();
    caravan_bundle::ensure(cache, "1.36", SoftwareSource::Go, &settings, progress).unwrap()
}

#[test]
#[ignore = "builds all software, or finds it in the user's own cache"]
fn a_bundle_is_built_and_baked() {
    let cache = users_cache();
    let since = Instant::now();
    let bundle = built(&cache, &Loud);
    println!(
        "{:7.1} s  bundle {} of {} MB",
        since.elapsed().as_secs_f64(),
        bundle.id,
        bundle.size >> 20
    );

    let since = Instant::now();
    let again = built(&cache, &Silent);
    println!("{:7.3} s  the same again", since.elapsed().as_secs_f64());
    assert_eq!(again.content, bundle.content);

    let engine = docker::find().unwrap();
    let since = Instant::now();
    let image =
        caravan_bundle::image::bake(&cache, &bundle, &[], Base::Debian12, &engine, &Loud).unwrap();
    println!("{:7.1} s  {image}", since.elapsed().as_secs_f64());

    let since = Instant::now();
    let again = caravan_bundle::image::bake(&cache, &bundle, &[], Base::Debian12, &engine, &Silent)
        .unwrap();
    println!("{:7.3} s  the same again", since.elapsed().as_secs_f64());
    assert_eq!(again, image);
}

#[test]
#[ignore = "bakes boxes, or finds them in the user's own cache"]
fn boxes_are_baked() {
    let cache = users_cache();
    let bundle = built(&cache, &Loud);
    let engine = docker::find().unwrap();
    for base in [Base::Debian12, Base::Debian13] {
        for hypervisor in Hypervisor::ALL {
            let wanted = BoxRecipe {
                bundle: &bundle,
                add_ons: &[],
                base,
                hypervisor,
            };
            let since = Instant::now();
            let baked = machine_box::bake(&cache, &wanted, &engine, &Loud).unwrap();
            println!(
                "{:7.1} s  {} of {} MB for {hypervisor}",
                since.elapsed().as_secs_f64(),
                baked.name,
                baked.size >> 20
            );
            let found = machine_box::find(&cache, &wanted, &Silent).unwrap();
            assert_eq!(found, Some(baked));
        }
    }
}

/// Two builds in folders of their own. With `GOCACHE` set to an empty folder, the first of them compiles everything.
#[test]
#[ignore = "builds all software twice"]
fn two_builds_of_the_same_pins_are_the_same() {
    let contents = [0, 1].map(|_| {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let since = Instant::now();
        let bundle = built(&cache, &Loud);
        println!(
            "{:7.1} s  bundle {} with content {}",
            since.elapsed().as_secs_f64(),
            bundle.id,
            bundle.content
        );
        bundle.content
    });
    assert_eq!(contents[0], contents[1]);
}

/// A bundle that is in the user's own cache travels to an empty one.
#[test]
#[ignore = "needs a bundle in the user's own cache"]
fn a_bundle_travels() {
    let cache = users_cache();
    let bundle = caravan_bundle::list(&cache)
        .unwrap()
        .pop()
        .expect("a bundle: run the build test first");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.tar.gz");
    let timed =
        |what: &str, since: Instant| println!("{:7.1} s  {what}", since.elapsed().as_secs_f64());

    let since = Instant::now();
    assert!(caravan_bundle::verify(&cache, &Silent).unwrap().is_empty());
    timed("verify all", since);
    let since = Instant::now();
    caravan_bundle::export(&cache, &bundle.id, &file, &Silent).unwrap();
    timed("export", since);
    println!(
        "           {} MB",
        std::fs::metadata(&file).unwrap().len() >> 20
    );
    let since = Instant::now();
    let other = Cache::open(&folder.path().join("cache")).unwrap();
    let came = caravan_bundle::import(&other, &file, &Silent).unwrap();
    timed("import", since);
    assert_eq!(came.bundles[0].content, bundle.content);
}

//! The whole PKI of a highly available cluster in a folder: `cargo run --example cluster -- FOLDER`.

use std::time::{Instant, SystemTime};

use caravan_pki::kubernetes::{Cluster, Node};
use caravan_pki::store::Store;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: cluster FOLDER")?;
    let mut cluster = Cluster::new("192.168.29.80:6443")?.with_name("ha")?;
    for (name, ip) in [("one", 51), ("two", 52), ("three", 53)] {
        let master = Node::new(&format!("master{name}"), [192, 168, 29, ip].into())?;
        let etcd = Node::new(&format!("etcd{name}"), [192, 168, 29, ip + 10].into())?;
        cluster = cluster
            .with_control_plane(master.with_domain("example.com")?)
            .with_etcd(etcd.with_domain("example.com")?);
    }

    let start = Instant::now();
    let made = Store::open(folder)?.ensure(&cluster.plan()?, SystemTime::now())?;
    let took = start.elapsed();

    for change in made.changes() {
        println!("{}: {:?}", change.id, change.outcome);
    }
    let files = cluster.node_files("masterone", made.material())?;
    println!("{} files on masterone", files.len());
    println!("{} entries in {took:.1?}", made.entries().len());
    Ok(())
}

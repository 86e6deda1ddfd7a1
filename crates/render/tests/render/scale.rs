//! A lab of 1,000 machines: rendered, and not quadratic in what does not have to be.

use caravan_lab::{Lab, Provider};
use caravan_render::{MachineImage, Material, Renderer, Settings, Software};
use std::fmt::Write;

fn lab() -> Lab {
    let mut source = String::from(
        "domain = \"example.com\"\nkubernetes = \"1.36\"\nvip = \"10.20.0.80\"\nsubnet = \"10.20.0.0/16\"\n\
         pod_cidr = \"10.128.0.0/12\"\n[servers.server1]\n",
    );
    let mut machine = |name: String, role: &str, number: u32| {
        let ip = format!("10.20.{}.{}", 1 + number / 200, 1 + number % 200);
        writeln!(
            source,
            "[[machines]]\nname = \"{name}\"\nrole = \"{role}\"\nserver = \"server1\"\nip = \"{ip}\"\n\
             memory_mib = 2048\ncpus = 2"
        )
        .unwrap();
    };
    let roles = [
        ("etcd", 3),
        ("control-plane", 3),
        ("load-balancer", 2),
        ("worker", 992),
    ];
    let mut number = 0;
    for (role, count) in roles {
        for index in 0..count {
            machine(format!("{role}{index}"), role, number);
            number += 1;
        }
    }
    Lab::parse("large", &source).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn a_thousand_machines() {
    let lab = lab();
    assert_eq!(lab.machines().len(), 1000);
    let software = Software::example();
    let material = Material::placeholder(&lab).unwrap();
    let image = MachineImage::named("caravan-machine:0123456789ab");
    let settings = Settings {
        airgap: true,
        ..Settings::of_one_provider(&lab, Provider::Docker, image)
    };
    let started = std::time::Instant::now();
    let renderer = Renderer::new(&lab, &software, &settings, &material).unwrap();
    let mut files = 0;
    for machine in lab.machines() {
        files += renderer.guest_files(machine).unwrap().len();
    }
    // For a person to read; how long it may take depends on the computer.
    eprintln!("{files} files of 1,000 machines in {:?}", started.elapsed());
    assert!(files > 30_000);
}

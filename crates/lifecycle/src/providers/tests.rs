//! A lab of two providers, each of which writes down what it is asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use caravan_vagrant::{Error as VagrantError, MachineState, Vagrant};

use caravan_vagrant::provider::MachineHarm;

use super::*;

/// What was asked of whom, in which thread.
type Calls = Arc<Mutex<Vec<(String, ThreadId)>>>;

/// A provider with a machine on each server that it is asked about.
struct Noting {
    word: &'static str,
    calls: Calls,
    fails: bool,
}

impl Noting {
    fn note(&self, call: &str, names: &[&FoundMachine]) -> Result<(), VagrantError> {
        let names: Vec<&str> = names.iter().map(|it| it.name.as_str()).collect();
        let call = format!("{} {call} {}", self.word, names.join(" "));
        let call = (call.trim_end().to_owned(), thread::current().id());
        self.calls.lock().expect("no panic").push(call);
        match self.fails {
            true => Err(VagrantError::Routes {
                source: std::io::Error::other("unread"),
            }),
            false => Ok(()),
        }
    }

    fn volume(&self, lab: &str) -> Volume {
        Volume {
            name: format!("{lab}-{}", self.word),
            lab: lab.to_owned(),
            machine: self.word.to_owned(),
            folder: "/".into(),
            holds: String::new(),
        }
    }
}

impl MachineProvider for Noting {
    fn word(&self) -> &'static str {
        self.word
    }

    fn vagrant(&self, _: &LabProjects) -> Result<Vagrant, VagrantError> {
        unreachable!("no machine is started")
    }

    fn machines(&self, _: &str, at: &LabProjects) -> Result<Vec<FoundMachine>, VagrantError> {
        let servers = at.only.clone().expect("some servers").into_iter();
        let machine = |server: String| machine(&format!("of-{server}"), &server, self.word);
        Ok(servers.map(machine).collect())
    }

    fn volumes(&self, lab: &str) -> Result<Vec<Volume>, VagrantError> {
        Ok(vec![self.volume(lab)])
    }

    fn labs(&self) -> Result<Vec<String>, VagrantError> {
        Ok(Vec::new())
    }

    fn labs_with_data(&self) -> Result<Vec<String>, VagrantError> {
        Ok(Vec::new())
    }

    fn conflicts(
        &self,
        _: &str,
        subnet: Ipv4Net,
        _: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, VagrantError> {
        let conflict = |name: &str| Conflict::Network {
            owner: caravan_vagrant::engine::NetworkOwner::Engine,
            subnet,
            name: name.to_owned(),
            has: subnet,
            lab: None,
        };
        Ok(vec![conflict("of both"), conflict(self.word)])
    }

    fn stop(
        &self,
        _: &LabProjects,
        machines: &[&FoundMachine],
        _: Duration,
        _: &LineListener<'_>,
    ) -> Result<(), VagrantError> {
        self.note("stop", machines)
    }

    fn remove(
        &self,
        _: &LabProjects,
        machines: &[&FoundMachine],
        _: Option<Duration>,
        _: &LineListener<'_>,
    ) -> Result<(), VagrantError> {
        self.note("remove", machines)
    }

    fn harm(&self, machines: &[&FoundMachine], harm: MachineHarm) -> Result<(), VagrantError> {
        self.note(&format!("{harm:?}"), machines)
    }

    fn revive(&self, machines: &[&FoundMachine]) -> Result<(), VagrantError> {
        self.note("revive", machines)
    }

    fn note_stopped(&self, _: &LabProjects, all: &[&FoundMachine]) -> Result<(), VagrantError> {
        self.note("note_stopped", all)
    }

    fn note_removed(&self, _: &LabProjects, all: &[&FoundMachine]) -> Result<(), VagrantError> {
        self.note("note_removed", all)
    }

    fn disks(&self) -> Result<Option<PathBuf>, caravan_vagrant::Error> {
        Ok(None)
    }

    fn remove_volumes(&self, names: &[&str]) -> Result<(), VagrantError> {
        self.note(&format!("remove_volumes {}", names.join(" ")), &[])
    }

    fn remove_leftovers(&self, _: &str) -> Result<Removed, VagrantError> {
        self.note("remove_leftovers", &[])?;
        Ok(Removed {
            networks: vec![self.word.to_owned()],
            ..Removed::default()
        })
    }

    fn put_host_back(&self) -> Result<(), VagrantError> {
        self.note("put_host_back", &[])
    }
}

fn machine(name: &str, server: &str, provider: &'static str) -> FoundMachine {
    FoundMachine {
        name: name.to_owned(),
        server: server.to_owned(),
        host: None,
        provider,
        state: MachineState::Running,
        id: None,
        image: None,
        folder: None,
    }
}

fn projects() -> LabProjects {
    LabProjects {
        computer: Computer::Here,
        folder: "/nowhere".into(),
        logs: "/nowhere".into(),
        vagrant_home: "/nowhere".into(),
        only: None,
    }
}

/// Containers on `a` and `c`, virtual machines on `b`; one of the two may fail at everything.
fn mixed(failing: Option<Provider>) -> (LabProviders, Calls) {
    let by_server = [
        ("a", Provider::Docker),
        ("b", Provider::Libvirt),
        ("c", Provider::Docker),
    ];
    let by_server = by_server.map(|(server, kind)| {
        let place = ServerPlace { kind, host: None };
        (server.to_owned(), place)
    });
    let kinds = [Provider::Docker, Provider::Libvirt];
    let computers = LabComputers::default();
    let mut providers = LabProviders::new(kinds.into(), by_server.into(), computers);
    let calls = Calls::default();
    for PlacedProvider {
        place, provider, ..
    } in &mut providers.all
    {
        *provider = Box::new(Noting {
            word: place.kind.word(),
            calls: Arc::clone(&calls),
            fails: failing == Some(place.kind),
        });
    }
    (providers, calls)
}

fn told(calls: &Calls) -> Vec<String> {
    let calls = calls.lock().expect("no panic");
    calls.iter().map(|(call, _)| call.clone()).collect()
}

#[test]
fn each_provider_is_asked_for_the_machines_of_its_own_servers() {
    let (providers, _) = mixed(None);
    let found = providers.machines("ha", &projects()).expect("found");
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.name.as_str(), it.provider))
        .collect();
    assert_eq!(
        found,
        [("of-a", "docker"), ("of-b", "libvirt"), ("of-c", "docker")]
    );
    for (server, word) in [("a", "docker"), ("b", "libvirt"), ("c", "docker")] {
        assert_eq!(providers.of_server(server).word(), word);
    }
    let volumes = providers.volumes("ha").expect("found");
    let names: Vec<_> = volumes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["ha-docker", "ha-libvirt"]);
}

#[test]
fn a_conflict_that_both_see_is_told_once() {
    let (providers, _) = mixed(None);
    let subnet = "192.168.29.0/24".parse().expect("a range");
    let found = providers.conflicts("ha", subnet, &[]).expect("found");
    let names: Vec<_> = found.iter().map(ToString::to_string).collect();
    let of = |name| {
        format!(
            "the engine's network `{name}` has `192.168.29.0/24`, which overlaps `192.168.29.0/24`"
        )
    };
    assert_eq!(names, [of("of both"), of("libvirt"), of("docker")]);
}

#[test]
fn machines_of_both_stop_side_by_side() {
    let (providers, calls) = mixed(None);
    let (a, b) = (machine("m", "a", "docker"), machine("e", "b", "libvirt"));
    // One of a server that nobody knows any more.
    let c = machine("w", "gone", "docker");
    let stop = |providers: &LabProviders| {
        providers.stop(&projects(), &[&a, &b, &c], Duration::ZERO, &|_| {})
    };
    stop(&providers).expect("stopped");
    let mut sorted = told(&calls);
    sorted.sort();
    assert_eq!(sorted, ["docker stop m w", "libvirt stop e"]);
    let threads: Vec<ThreadId> = calls
        .lock()
        .expect("no panic")
        .iter()
        .map(|it| it.1)
        .collect();
    assert_ne!(threads[0], threads[1]);
    // Nobody is asked to do nothing, and who fails keeps nobody from his work.
    for (failing, done) in [
        (Provider::Docker, "libvirt stop e"),
        (Provider::Libvirt, "docker stop m w"),
    ] {
        let (providers, calls) = mixed(Some(failing));
        stop(&providers).expect_err("one failed");
        assert!(told(&calls).iter().any(|call| call == done));
    }
    let (providers, calls) = mixed(None);
    providers
        .remove(&projects(), &[&b], None, &|_| {})
        .and_then(|()| providers.note_removed(&projects(), &[&a]))
        .and_then(|()| providers.note_stopped(&projects(), &[&b]))
        .expect("done");
    assert_eq!(
        told(&calls),
        [
            "libvirt remove e",
            "docker note_removed m",
            "libvirt note_stopped e"
        ]
    );
}

#[test]
fn what_is_left_of_virtual_machines_goes_before_the_network_that_they_hang_on() {
    let (providers, calls) = mixed(None);
    let removed = providers.remove_leftovers("ha").expect("removed");
    assert_eq!(removed.networks, ["libvirt", "docker"]);
    providers.put_host_back().expect("put back");
    assert_eq!(
        told(&calls),
        [
            "libvirt remove_leftovers",
            "docker remove_leftovers",
            "libvirt put_host_back",
            "docker put_host_back"
        ]
    );
}

#[test]
fn a_volume_is_removed_by_the_provider_that_has_it() {
    let (providers, calls) = mixed(None);
    let volumes = providers.volumes("ha").expect("found");
    let docker: Vec<&Volume> = volumes.iter().filter(|it| it.machine == "docker").collect();
    providers.remove_volumes("ha", &docker).expect("removed");
    providers.remove_volumes("ha", &[]).expect("nothing to do");
    assert_eq!(told(&calls), ["docker remove_volumes ha-docker"]);
}

#[test]
fn a_lab_on_two_computers_asks_what_runs_machines_here() {
    let source = include_str!("../../../../labs/ha.toml")
        .replace("[servers.server1]", "[servers.server1]\nbridge = \"br0\"\naddress = \"192.168.29.11\"")
        .replace(
            "[servers.server2]",
            "[servers.server2]\nbridge = \"br0\"\naddress = \"192.168.29.12\"\nhost = \"ssh://there\"\nprovider = \"libvirt\"",
        );
    let lab = Lab::parse("ha", &source).unwrap_or_else(|faults| panic!("{faults}"));
    let choices = LabChoices::settle(&lab, &crate::ChoiceRequest::default(), None, false);
    let dir = LabDir::new("/nowhere".as_ref(), "ha");
    let of_choices = LabProviders::of(&lab, &choices.expect("settled"), &dir);
    for providers in [of_choices, LabProviders::of_file(&lab, &dir)] {
        assert_eq!(providers.kinds_here(), [Provider::Docker].into());
        assert_eq!(
            providers.kinds(),
            [Provider::Docker, Provider::Libvirt].into()
        );
        let hosts: Vec<&str> = providers.computers().servers().map(|it| it.0).collect();
        assert_eq!(hosts, ["ssh://there"]);
        // Each server is of its own computer, whatever runs its machines.
        let there = providers.placed("server2").place.host.as_deref();
        assert_eq!(there, Some("ssh://there"));
        assert!(providers.placed("server1").computer.is_here());
    }
}

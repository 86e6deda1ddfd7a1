//! What holds of what is asked for, of what the lab file says and of what was chosen before.

use super::*;

fn lab() -> Lab {
    Lab::parse("ha", include_str!("../../../../labs/ha.toml")).expect("valid")
}

fn nothing() -> ChoiceRequest {
    ChoiceRequest {
        has_kvm: true,
        ..ChoiceRequest::default()
    }
}

fn provider(provider: Provider) -> ChoiceRequest {
    ChoiceRequest {
        provider: Some(provider),
        ..nothing()
    }
}

fn image(provider: Option<Provider>, name: &str) -> ChoiceRequest {
    let name = name.to_owned();
    ChoiceRequest {
        images: vec![ImageRequest { provider, name }],
        ..nothing()
    }
}

/// The lab `ha` with lines before all others and below the header of `server2`.
fn edited(own: &str, server2: &str) -> Lab {
    let source = include_str!("../../../../labs/ha.toml");
    let table = format!("[servers.server2]\n{server2}");
    let source = format!("{own}\n{}", source.replace("[servers.server2]", &table));
    Lab::parse("ha", &source).unwrap_or_else(|faults| panic!("{faults}"))
}

fn fresh(lab: &Lab, asked: &ChoiceRequest) -> LabChoices {
    LabChoices::settle(lab, asked, None, false).expect("settled")
}

fn refusal(lab: &Lab, asked: &ChoiceRequest, before: Option<LabChoices>) -> String {
    let exist = before.is_some();
    let error = LabChoices::settle(lab, asked, before, exist).expect_err("refused");
    format!("{error}; {}", error.hint("caravan").unwrap_or_default())
}

#[test]
fn what_was_chosen_holds_while_machines_exist() {
    let mut before = fresh(&lab(), &nothing());
    before.airgap = true;
    let made = MachineImage::named("caravan-machine:1");
    before.images.insert(Provider::Docker, made);
    let again = LabChoices::settle(&lab(), &nothing(), Some(before.clone()), true);
    assert_eq!(again.expect("settled"), before);
    let hint =
        "leave the flag out to go on with the machines there are, or `caravan destroy ha` first";
    let other = provider(Provider::Libvirt);
    let kept = || Some(before.clone());
    assert_eq!(
        refusal(&lab(), &other, kept()),
        format!("lab `ha` was made with provider `docker`, and `libvirt` is asked for; {hint}")
    );
    let mut one = nothing();
    one.providers
        .insert("server2".to_owned(), Provider::Libvirt);
    assert_eq!(
        refusal(&lab(), &one, kept()),
        format!(
            "lab `ha` was made with provider of server `server2` `docker`, and `libvirt` is asked for; {hint}"
        )
    );
    let emulated = ChoiceRequest {
        emulated: Some(true),
        ..nothing()
    };
    assert_eq!(
        refusal(&lab(), &emulated, kept()),
        format!("lab `ha` was made with emulated `false`, and `true` is asked for; {hint}")
    );
    assert_eq!(
        refusal(&lab(), &image(None, "caravan-machine:2"), kept()),
        format!(
            "lab `ha` was made with image `caravan-machine:1`, and `caravan-machine:2` is asked for; {hint}"
        )
    );
    // A lab file that says otherwise now changes nothing, nor does a computer that does.
    let mut before = fresh(&edited("provider = \"libvirt\"", ""), &nothing());
    before.emulated = true;
    let now = edited("provider = \"docker\"\nemulated = false", "");
    let again = LabChoices::settle(&now, &nothing(), Some(before.clone()), true);
    assert_eq!(again.expect("settled"), before);
    let free = LabChoices::settle(&lab(), &other, Some(before), false).expect("nothing exists");
    assert_eq!(free.kinds(), [Provider::Libvirt].into());
    assert!(!free.airgap);
}

#[test]
fn the_command_line_is_before_the_server_and_the_server_before_the_lab() {
    let (docker, libvirt) = (Provider::Docker, Provider::Libvirt);
    let of = |lab: &Lab, asked: &ChoiceRequest| {
        let choices = fresh(lab, asked);
        (choices.provider("server1"), choices.provider("server2"))
    };
    let mixed = edited("", "provider = \"libvirt\"");
    assert_eq!(of(&lab(), &nothing()), (docker, docker));
    assert_eq!(of(&mixed, &nothing()), (docker, libvirt));
    let own = "provider = \"libvirt\"";
    assert_eq!(of(&edited(own, ""), &nothing()), (libvirt, libvirt));
    let other = edited(own, "provider = \"docker\"");
    assert_eq!(of(&other, &nothing()), (libvirt, docker));
    assert_eq!(of(&mixed, &provider(docker)), (docker, docker));
    let mut asked = provider(docker);
    asked.providers.insert("server1".to_owned(), libvirt);
    assert_eq!(of(&mixed, &asked), (libvirt, docker));
    asked.providers.insert("serve1".to_owned(), libvirt);
    assert_eq!(
        refusal(&mixed, &asked, None),
        "lab `ha` has no server `serve1`; did you mean `server1`?"
    );
}

#[test]
fn machines_are_emulated_where_it_is_said_or_needed() {
    let libvirt = "provider = \"libvirt\"";
    let of = |own: &str, server2: &str, has_kvm: bool, emulated: Option<bool>| {
        let asked = ChoiceRequest {
            emulated,
            has_kvm,
            ..ChoiceRequest::default()
        };
        fresh(&edited(own, server2), &asked).emulated
    };
    assert!(!of("", libvirt, true, None));
    assert!(of("", libvirt, false, None));
    assert!(!of("", libvirt, false, Some(false)));
    assert!(of("", libvirt, true, Some(true)));
    assert!(of("emulated = true", libvirt, true, None));
    assert!(!of("emulated = false", libvirt, false, None));
    assert!(!of("emulated = true", libvirt, true, Some(false)));
    // Nothing else is emulated.
    assert!(!of("emulated = true", "", false, Some(true)));
    assert!(!of("provider = \"virtualbox\"", "", false, None));
    // Of another computer this one cannot tell.
    let there =
        format!("{libvirt}\nhost = \"ssh://there\"\nbridge = \"br0\"\naddress = \"192.168.29.12\"");
    let source = include_str!("../../../../labs/ha.toml");
    let source = source
        .replace(
            "[servers.server1]",
            "[servers.server1]\nbridge = \"br0\"\naddress = \"192.168.29.11\"",
        )
        .replace("[servers.server2]", &format!("[servers.server2]\n{there}"));
    let lab = Lab::parse("ha", &source).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(!fresh(&lab, &ChoiceRequest::default()).emulated);
}

#[test]
fn an_image_is_of_the_provider_that_it_is_named_for() {
    let mixed = edited("", "provider = \"libvirt\"");
    let named = |lab: &Lab, asked: &ChoiceRequest| {
        let images = fresh(lab, asked).images.into_iter();
        images.map(|(kind, it)| (kind, it.name)).collect::<Vec<_>>()
    };
    let box_name = || "debian/bookworm64".to_owned();
    let of_libvirt = image(Some(Provider::Libvirt), &box_name());
    assert_eq!(
        named(&mixed, &of_libvirt),
        [(Provider::Libvirt, box_name())]
    );
    let of_any = image(None, &box_name());
    assert_eq!(named(&lab(), &of_any), [(Provider::Docker, box_name())]);
    let hint =
        "`--image docker=IMAGE` or `--image libvirt=IMAGE` says which machines are made from it";
    assert_eq!(
        refusal(&mixed, &of_any, None),
        format!(
            "the machines of lab `ha` are of docker and libvirt, and `debian/bookworm64` is one image; {hint}"
        )
    );
    let hint = "`--image docker=IMAGE` says which machines are made from it";
    assert_eq!(
        refusal(&lab(), &of_libvirt, None),
        format!(
            "the machines of lab `ha` are of docker, and `debian/bookworm64` is an image for others; {hint}"
        )
    );
}

#[test]
fn providers_that_share_no_network_need_a_bridge() {
    let lab = |more: &str| {
        let source = include_str!("../../../../labs/ha.toml")
            .replace("[servers.server1]", &format!("[servers.server1]\n{more}"))
            .replace(
                "[servers.server2]",
                &format!("[servers.server2]\nprovider = \"virtualbox\"\n{more}"),
            );
        Lab::parse("ha", &source).unwrap_or_else(|faults| panic!("{faults}"))
    };
    assert_eq!(
        refusal(&lab(""), &nothing(), None),
        "VirtualBox's machines on server `server2` and docker's on server `server1` share no network; give both servers \
         the `bridge` that is to join them, or one provider: `--provider virtualbox`"
    );
    fresh(
        &lab("bridge = \"br0\"\naddress = \"192.168.29.11\""),
        &nothing(),
    );
    fresh(&lab(""), &provider(Provider::Docker));
}

#[test]
fn they_are_kept() {
    let workspace = tempfile::tempdir().expect("a folder");
    let dir = LabDir::new(workspace.path(), "ha");
    dir.make().expect("made");
    assert_eq!(LabChoices::read(&dir).expect("absent"), None);
    let choices = fresh(&lab(), &nothing());
    choices.write(&dir).expect("written");
    assert_eq!(LabChoices::read(&dir).expect("read"), Some(choices));
    let mut choices = fresh(&lab(), &image(None, "caravan-machine:1"));
    choices.emulated = true;
    choices.nameservers = vec![[192, 168, 1, 1].into()];
    let url = Some("file:///box.json".to_owned());
    let name = "caravan-machine-1".to_owned();
    let made = MachineImage { name, url };
    choices.images.insert(Provider::Libvirt, made);
    choices.write(&dir).expect("written");
    assert_eq!(LabChoices::read(&dir).expect("read"), Some(choices));
    std::fs::write(dir.choices(), "provider = \"ship\"\nairgap = true\n").expect("written");
    assert!(LabChoices::read(&dir).is_err());
}

#[test]
fn what_an_earlier_version_kept_is_read() {
    let workspace = tempfile::tempdir().expect("a folder");
    let dir = LabDir::new(workspace.path(), "ha");
    dir.make().expect("made");
    let kept = "# What `up` was asked for; `destroy` removes it.\nprovider = \"libvirt\"\nairgap = true\n\
                image = \"caravan/ubuntu\"\nnameservers = [\"192.168.1.1\"]\n";
    std::fs::write(dir.choices(), kept).expect("written");
    let read = || LabChoices::read(&dir).expect("read").expect("kept");
    // Nothing was made yet.
    assert!(read().providers.is_empty());
    std::fs::create_dir(dir.deployed()).expect("made");
    let source = include_str!("../../../../labs/ha.toml");
    std::fs::write(dir.deployed_lab(), source).expect("written");
    let choices = read();
    let providers = ["server1", "server2"].map(|it| (it.to_owned(), Provider::Libvirt));
    assert_eq!(choices.providers, providers.into());
    assert!(choices.airgap && !choices.emulated);
    let image = MachineImage::named("caravan/ubuntu");
    assert_eq!(choices.images, [(Provider::Libvirt, image)].into());
    assert_eq!(choices.nameservers, [Ipv4Addr::new(192, 168, 1, 1)]);
    // A lab file that cannot be read any more: its projects still tell.
    std::fs::write(dir.deployed_lab(), "?").expect("written");
    std::fs::create_dir(dir.group("server2")).expect("made");
    std::fs::write(dir.vagrantfile("server2"), "").expect("written");
    assert_eq!(read().provider("server2"), Provider::Libvirt);
    assert_eq!(read().providers.len(), 1);
}

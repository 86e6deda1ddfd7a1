//! What the Vagrantfile for containers decides where it runs, as Ruby runs it, with a stand-in for the engine.

use std::fs;

use caravan_lab::Provider;
use caravan_render::{Material, Software, group_files};

use crate::checkers::checker;
use crate::labs;

/// What of Vagrant the lines above the provider use, and a driver that says which commands it was to run.
const STAND_INS: &str = r#"
require "json"
require "socket"
ENV["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
module Vagrant
  class MachineIndex; end
  module Config; class Loader; end; end
  module Errors
    class VagrantError < StandardError
      attr_reader :extra_data
      def initialize(data = {}) = @extra_data = data
      def message = error_message
    end
  end
end
module VagrantPlugins; module DockerProvider; module Errors; class ExecuteError < StandardError; end; end; end; end
"#;

/// Prints the commands that starting a machine runs, as JSON, or what is said against it.
const START: &str = r#"
class Engine
  attr_reader :ran
  def start(_id); end
  def execute(*words)
    (@ran ||= []) << words
    ""
  end
end
Engine.prepend(Caravan::Driver)
engine = Engine.new
begin
  engine.start("id")
  puts JSON.dump(engine.ran)
rescue Vagrant::Errors::VagrantError => error
  puts JSON.dump(error.message)
end
"#;

/// What starting a machine of `source` runs, with the interface `lo` for a bridge `br0`; `None` where there is no Ruby.
fn started(source: &str, airgap: bool) -> Option<serde_json::Value> {
    let ruby = checker("ruby")?;
    let lab = labs::parse("ha", source);
    let mut settings = labs::settings(Provider::Docker);
    settings.airgap = airgap;
    let material = Material::placeholder(&lab).unwrap();
    let server = lab.servers().first().expect("a server");
    let software = Software::example();
    let files = group_files(&lab, server, &software, &settings, &material, None);
    let text = String::from_utf8(files.unwrap().remove(0).content).unwrap();
    let (above, _) = text
        .split_once("# Asking the plugin manager")
        .expect("the provider is loaded");
    // Each Linux has it, and no other interface's packets are as large; a lab file may not name it.
    let above = above.replace("BRIDGE = [\"br0\"]", "BRIDGE = [\"lo\"]");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script.rb");
    fs::write(&path, format!("{STAND_INS}\n{above}\n{START}")).unwrap();
    let output = ruby
        .call(["script.rb"])
        .dir(folder.path())
        .output()
        .unwrap();
    assert!(output.success(), "{}", output.stderr);
    Some(serde_json::from_str(&output.stdout).expect("JSON"))
}

fn words(text: &str) -> serde_json::Value {
    text.split(' ').collect()
}

#[test]
fn a_network_of_its_own_is_the_engines() {
    let create = "docker network create --subnet 192.168.29.0/24 --label caravan.lab=ha";
    for (airgap, flags) in [(true, " --internal"), (false, "")] {
        let Some(ran) = started(&labs::source("ha"), airgap) else {
            return;
        };
        let expected = words(&format!("{create}{flags} caravan-ha"));
        assert_eq!(ran.as_array().unwrap().as_slice(), [expected]);
    }
}

#[test]
fn a_network_on_a_bridge_leaves_its_addresses_alone_and_has_its_mtu() {
    let Ok(mtu) = fs::read_to_string("/sys/class/net/lo/mtu") else {
        return;
    };
    // With `--airgap` too: the engine's filter for internal networks is on everybody's packets.
    for airgap in [true, false] {
        let Some(ran) = started(&labs::bridged("\"br0\""), airgap) else {
            return;
        };
        let expected = words(&format!(
            "docker network create --subnet 192.168.29.0/24 --label caravan.lab=ha \
             --opt com.docker.network.bridge.name=lo --opt com.docker.network.bridge.inhibit_ipv4=true \
             --opt com.docker.network.bridge.enable_ip_masquerade=false \
             --opt com.docker.network.driver.mtu={} caravan-ha",
            mtu.trim()
        ));
        assert_eq!(ran.as_array().unwrap().as_slice(), [expected]);
    }
}

#[test]
fn a_bridge_that_is_not_there_is_not_made() {
    let Some(said) = started(&labs::bridged("\"nosuchbridge0\""), true) else {
        return;
    };
    let said = said.as_str().expect("a refusal");
    let found = "this computer has no bridge `nosuchbridge0`, which the lab file names for the machines of `server1`; it has `";
    assert!(said.starts_with(found), "{said}");
    assert!(said.contains("`lo`"), "{said}");
}

#[test]
fn containers_that_vagrant_could_not_enter_are_refused() {
    let virtual_ones = labs::source("ha").replace(
        "[servers.server1]\n[servers.server2]\n",
        "[servers.server1]\nbridge = \"br0\"\n[servers.server2]\nbridge = \"br0\"\n",
    );
    let lines = "provider = \"libvirt\"\noperators = [\"192.168.29.5\"]\n";
    let lab = labs::parse("ha", &format!("{lines}{virtual_ones}"));
    let render = |provider| {
        let material = Material::placeholder(&lab).unwrap();
        let (settings, software) = (labs::settings(provider), Software::example());
        let server = lab.server("server2").unwrap();
        group_files(&lab, server, &software, &settings, &material, None)
    };
    assert!(render(Provider::Libvirt).is_ok());
    assert!(render(Provider::VirtualBox).is_ok());
    let error = render(Provider::Docker).unwrap_err();
    assert_eq!(
        error.to_string(),
        "labs/ha.toml:16: server `server2` is on a bridge and has no `address`, by which Vagrant comes into containers"
    );
    assert!(error.hint("").unwrap().starts_with("add `address`"));
}

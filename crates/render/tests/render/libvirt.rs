//! What the Vagrantfile for libvirt decides where it runs, as Ruby runs it, with a stand-in for libvirt.

use std::fs;

use caravan_lab::Provider;
use caravan_render::{Material, Software, group_files};

use crate::checkers::checker;
use crate::labs;

/// What of Vagrant the lines above the plugin use, and a libvirt that keeps networks and volumes in memory.
const STAND_INS: &str = r#"
require "json"
module Vagrant
  class MachineIndex; end
  module Config; class Loader; end; end
  # Adds a box as Vagrant does: what is read lies in one file for all, and is there as a whole in the end.
  module Action; module Builtin; class HandleBox
    def handle_box(env)
      said = File.join(Vagrant.user_data_path, "box.part")
      raise "another one reads it" if File.exist?(said)
      File.write(said, "")
      sleep 0.2
      File.delete(said)
    end
  end; end; end
  module Errors; class VagrantError < StandardError; def message; error_message; end; end; end
  def self.user_data_path; File.dirname(File.expand_path(__FILE__)); end
end
class Network
  attr_reader :xml_desc, :name
  def initialize(xml)
    @xml_desc = xml
    @name = xml[%r{<name>(.*)</name>}, 1]
    @active = false
  end
  def active?; @active; end
  def create; raise "it runs" if @active; @active = true; end
  def destroy; @active = false; end
  def undefine; $client.networks.delete(self); end
end
Domain = Struct.new(:xml_desc)
class Client
  attr_reader :networks, :domains
  def initialize; @networks = []; @domains = []; end
  def list_all_networks
    seen = @networks.dup
    sleep 0.05
    seen
  end
  def list_all_domains; @domains; end
  def define_network_xml(xml)
    made = Network.new(xml)
    raise "`#{made.name}` exists" if @networks.any? { |network| network.name == made.name }
    @networks << made
    made
  end
end
class Ui
  attr_reader :said
  def initialize; @said = []; end
  def info(text); @said << text; end
end
$client = Client.new
$ui = Ui.new
"#;

/// What Ruby prints, as JSON, at the end of `script`; `None` where there is no Ruby.
fn ruby(lab_lines: &str, airgap: bool, script: &str) -> Option<serde_json::Value> {
    let ruby = checker("ruby")?;
    let source = format!("{lab_lines}\n{}", labs::source("ha"));
    let lab = labs::parse("ha", &source);
    let mut settings = labs::settings(Provider::Libvirt);
    settings.airgap = airgap;
    let material = Material::placeholder(&lab).unwrap();
    let server = lab.servers().first().expect("a server");
    let files = group_files(
        &lab,
        server,
        &Software::example(),
        &settings,
        &material,
        None,
    );
    let vagrantfile = files.unwrap().remove(0);
    let text = String::from_utf8(vagrantfile.content).unwrap();
    let (above, _) = text
        .split_once("# Asking the plugin manager")
        .expect("the plugin is loaded");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script.rb");
    fs::write(&path, format!("{STAND_INS}\n{above}\n{script}")).unwrap();
    let output = ruby
        .call(["script.rb"])
        .dir(folder.path())
        .output()
        .unwrap();
    assert!(output.success(), "{}", output.stderr);
    Some(serde_json::from_str(&output.stdout).expect("JSON"))
}

#[test]
fn vagrants_way_in_has_a_range_that_nobody_has() {
    let script = r##"
        L = Caravan::Libvirt
        first = LAB.sum % 256
        results = []
        results << L.free_range([], $ui).to_s
        mine = Network.new("<network><name>foo</name><ip address='10.83.#{first}.1' netmask='255.255.255.0'/></network>")
        results << L.free_range([mine], $ui).to_s
        results << $ui.said.last
        all = Network.new("<network><name>vpn</name><ip address='10.83.0.1' prefix='16'/></network>")
        results << L.free_range([all], $ui).to_s
        six = Network.new("<network><name>six</name><ip family='ipv6' address='fd00::1' prefix='64'/></network>")
        results << L.free_range([six], $ui).to_s
        both = Network.new("<network><name>a</name><ip address='172.27.0.1' prefix='16'/></network>")
        begin
          L.free_range([all, both], $ui)
        rescue Vagrant::Errors::VagrantError => error
          results << error.message
        end
        puts JSON.dump(results)
    "##;
    let Some(said) = ruby("", true, script) else {
        return;
    };
    let first = u32::from(b'h') + u32::from(b'a');
    assert_eq!(said[0], format!("10.83.{first}.0"));
    assert_eq!(said[1], format!("10.83.{}.0", first + 1));
    assert_eq!(
        said[2],
        format!(
            "10.83.{first}.0/24 is taken by the network `foo`: Vagrant comes in by 10.83.{}.0/24",
            first + 1
        )
    );
    assert_eq!(said[3], format!("172.27.{first}.0"));
    assert_eq!(said[4], said[0]);
    assert!(said[5].as_str().expect("a text").contains("virsh net-list"));
}

#[test]
fn routes_and_the_labs_own_ranges_are_taken() {
    let script = r##"
        routes = ["virbr7 001D530A 00000000 0001 0 0 0 00FFFFFF 0 0 0", "eth0 00000000 FE02000A 0003 0 0 0 00000000 0 0 0"]
        taken = Caravan::Libvirt.taken([], routes)
        puts JSON.dump(taken.map { |range, owner| "#{range}/#{range.prefix} #{owner}" })
    "##;
    let Some(said) = ruby("", true, script) else {
        return;
    };
    assert_eq!(
        said,
        serde_json::json!([
            "192.168.29.0/24 the lab",
            "10.244.0.0/16 the lab",
            "10.96.0.0/12 the lab",
            "10.83.29.0/24 the interface `virbr7`"
        ])
    );
}

#[test]
fn two_groups_that_start_at_the_same_time_make_one_network() {
    let script = r##"
        L = Caravan::Libvirt
        groups = 2.times.map { Thread.new { L.alone { L.make_networks($client, $ui) } } }
        ways_in = groups.map(&:value)
        made = $client.networks.map { |network| [network.name, network.active?, network.xml_desc] }
        $client.domains << Domain.new("<description>caravan.lab=ha-two\ncaravan.server=a\n</description>")
        $client.domains << Domain.new("<description>caravan.lab=ha\ncaravan.server=a\n</description>")
        L.remove_networks($client)
        kept = $client.networks.size
        $client.domains.pop
        $client.networks << Network.new("<network><name>default</name></network>")
        L.remove_networks($client)
        puts JSON.dump([ways_in, made, kept, $client.networks.map(&:name)])
    "##;
    for airgap in [true, false] {
        let Some(said) = ruby("", airgap, script) else {
            return;
        };
        assert_eq!(said[0][0], said[0][1]);
        let made = said[1].as_array().expect("networks");
        let names: Vec<&str> = made.iter().filter_map(|it| it[0].as_str()).collect();
        assert_eq!(names, ["caravan-ha.management", "caravan-ha"]);
        assert!(made.iter().all(|network| network[1] == true));
        let text = |place: usize| made[place][2].as_str().expect("XML");
        // The way in leads out where the lab has a way out, and the network between machines never does.
        assert_eq!(text(0).contains("<forward mode='nat'/>"), !airgap);
        assert_eq!(text(0).contains("<dns enable='no'/>"), airgap);
        assert!(!text(1).contains("<forward") && text(1).contains("<dns enable='no'/>"));
        assert!(text(1).contains("<ip address='192.168.29.1' netmask='255.255.255.0'></ip>"));
        assert!(
            text(0).contains("<caravan:lab xmlns:caravan=\"urn:caravan:lab\">ha</caravan:lab>")
        );
        assert_eq!(said[2], 2, "they stay while the lab has a machine");
        assert_eq!(said[3], serde_json::json!(["default"]));
    }
}

#[test]
fn groups_that_start_at_the_same_time_add_their_box_one_after_the_other() {
    let script = r##"
        groups = 2.times.map { fork { Vagrant::Action::Builtin::HandleBox.new.handle_box({}) } }
        puts JSON.dump(groups.map { |group| Process.wait2(group).last.exitstatus })
    "##;
    let Some(said) = ruby("", true, script) else {
        return;
    };
    assert_eq!(said, serde_json::json!([0, 0]));
}

#[test]
fn a_box_that_was_half_unpacked_is_unpacked_again() {
    let script = r##"
        volumes = ["box.img", "whole.img"]
        Volume = Struct.new(:id, :all) { def destroy; all.delete(id); end }
        pool = Object.new
        pool.define_singleton_method(:all) { |name:| volumes.include?(name) ? [Volume.new(name, volumes)] : [Volume.new(nil, volumes)] }
        connection = Struct.new(:volumes, :client).new(pool, nil)
        machine = Struct.new(:provider).new(Struct.new(:driver).new(Struct.new(:connection).new(connection)))
        base = Class.new do
          def initialize(app); @app = app; end
          def call(env)
            send_box_image(env, nil, "file", { name: "box.img" }) unless $volumes.include?("box.img")
            @app.call(env)
          end
          def send_box_image(*) = $volumes << "box.img"
        end
        $volumes = volumes
        mended = Class.new(base) { prepend Caravan::Libvirt::Image }
        mark = File.join(Vagrant.user_data_path, "caravan-upload-box.img")
        gone = File.join(Vagrant.user_data_path, "caravan-upload-gone.img")
        [mark, gone].each { |path| File.write(path, "") }
        order = []
        mended.new(->(_) { order << volumes.dup }).call({ machine: machine })
        puts JSON.dump([order, File.exist?(mark), File.exist?(gone)])
    "##;
    let Some(said) = ruby("", true, script) else {
        return;
    };
    assert_eq!(
        said,
        serde_json::json!([[["whole.img", "box.img"]], false, false])
    );
}

//! A switch between computers of a site: each has a network device on it, and a cable that can be pulled.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Duration;

use caravan_process::Following;

use crate::Fresh;
use crate::fresh::{program, said};

/// A switch in a network namespace of its own; it is gone when this is dropped. Nothing leads from it to anywhere else.
pub struct Lan {
    pid: u32,
    _process: Following,
}

impl Lan {
    /// A switch with nothing on it.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new() -> Self {
        let (sender, lines) = channel();
        // One process: what outlived it would hold its output, and whoever reads that would wait for it.
        let process = program("unshare")
            .call(["--net", "--fork", "--kill-child", "/bin/sh", "-c"])
            .arg("ip link add switch type bridge && ip link set switch up && echo ready && exec sleep 3600")
            .follow(move |line| drop(sender.send(line.to_owned())))
            .unwrap_or_else(|error| panic!("{error}"));
        let line = lines.recv_timeout(Duration::from_secs(30));
        assert_eq!(line.as_deref(), Ok("ready"), "the switch does not start");
        let unshare = process.pids()[0];
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
        let pid = children.expect("read").trim().parse().expect("a process");
        Self {
            pid,
            _process: process,
        }
    }

    /// Plugs a computer in: with its device `device`, which it may put an address on, or into a bridge.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn plug(&self, computer: &Fresh, device: &str, port: &str) {
        let (theirs, ours) = (computer.pid().to_string(), self.pid.to_string());
        // Made in the computer's namespace, so that no name of this one's is taken.
        said(
            program("nsenter")
                .call([
                    "--target", &theirs, "--net", "ip", "link", "add", "name", device,
                ])
                .args(["type", "veth", "peer", "name", port, "netns", &ours]),
        );
        self.ip(&["link", "set", port, "master", "switch", "up"]);
        said(program("nsenter").call([
            "--target", &theirs, "--net", "ip", "link", "set", device, "up",
        ]));
    }

    /// Pulls the cable of a port.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn pull(&self, port: &str) {
        self.ip(&["link", "set", port, "down"]);
    }

    /// Puts it back.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn put_back(&self, port: &str) {
        self.ip(&["link", "set", port, "up"]);
    }

    fn ip(&self, args: &[&str]) {
        let pid = self.pid.to_string();
        said(
            program("nsenter")
                .call(["--target", &pid, "--net", "ip"])
                .args(args),
        );
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

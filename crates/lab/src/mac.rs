//! The hardware address of a virtual machine's end of the lab's network.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::lab::Lab;
use crate::machine::Machine;

/// What hypervisors give to network devices of virtual machines: locally administered, and of one receiver.
const PREFIX: [u8; 3] = [0x52, 0x54, 0x00];

/// A hardware address of Ethernet. Shown as `52:54:00:0a:1b:2c`, as Linux and libvirt write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Returns the six bytes, in the order in which they are sent.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Returns the spelling without colons, in capitals, as VirtualBox takes it: `5254000A1B2C`.
    pub fn without_colons(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl Serialize for MacAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Lab {
    /// Returns the hardware address that a virtual machine has on the lab's network: `52:54:00` and 24 bits.
    ///
    /// Those bits are a number made of the lab's name plus the machine's address. A subnet is far smaller than they count, so no two
    /// machines of a lab share one, and a machine keeps its own whatever becomes of the others. Labs with other names
    /// begin elsewhere, so that those with the same addresses may be neighbours on one LAN.
    pub fn mac(&self, machine: &Machine) -> MacAddress {
        let digest = Sha256::digest(self.name());
        let start = u32::from_be_bytes([0, digest[0], digest[1], digest[2]]);
        let [_, d, e, f] = start.wrapping_add(machine.ip.to_bits()).to_be_bytes();
        let [a, b, c] = PREFIX;
        MacAddress([a, b, c, d, e, f])
    }
}

//! What is a lab? Parses a lab file, refuses what cannot work, derives what follows from it.
//!
//! A [`Lab`] in hand is valid: [`Lab::parse`] is the only way to make one, and it returns every [`Fault`] of the file at once, each with its place.
//! What follows from the file (endpoint, certificate names, pod subnets, priorities) is a method of [`Lab`], so that no two files of a cluster can disagree about it.
//! Nothing here does I/O: the caller reads the file and renders the faults.

mod add_on;
mod change;
mod check;
mod derived;
mod document;
mod draft;
mod drill;
pub mod failure;
mod fault;
pub mod generate;
mod lab;
mod mac;
mod machine;
mod marks;
mod name;
mod network;
mod new_lab;
mod parse;
mod place;
pub mod ports;
mod rule;
mod schema;
mod server;
mod settings;
pub mod state;
mod suggest;
mod versions;

pub use add_on::{AddOn, AddOns, AddressRange, NoAddressRange, Storage};
pub use change::{Changed, LabChange, MachineChange};
pub use drill::{DrillBudget, DrillKind, DrillName, FaultMode, UnknownDrill};
pub use fault::{Fault, Faults, Related, Severity};
pub use ipnet::Ipv4Net;
pub use lab::Lab;
pub use mac::MacAddress;
pub use machine::{Machine, Role};
pub use marks::Taint;
pub use network::PodNetwork;
pub use new_lab::{NewLab, new_lab_file};
pub use place::{Place, Places, TablePlaces};
pub use rule::Rule;
pub use schema::schema;
pub use server::{Provider, Server};
pub use settings::{Audit, ClusterSettings, Component, Encryption, KnownSettings};
pub use suggest::listed;
pub use versions::{EtcdRefused, EtcdVersion, KubernetesVersion, NoEtcdVersion};

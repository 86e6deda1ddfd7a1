//! The tool as a user runs it: whole output and exit status of each verb, in a workspace of its own, with a Vagrant, an
//! engine and an ssh that only note how they were called.
#![allow(missing_docs)]

mod add_ons;
mod bad_input;
mod checkpoint;
mod computers;
mod daily;
mod drill;
mod etcd;
mod explain;
mod interrupts;
mod kubeconfig;
mod libvirt;
mod lifecycle;
mod load;
mod losses;
mod mixed;
mod others;
mod pod_networks;
mod reading;
mod replace;
mod report;
mod rotate;
mod settings;
mod setup;
mod virtualbox;
mod world;

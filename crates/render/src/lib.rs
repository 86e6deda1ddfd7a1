//! What do the files say? A lab and its key material in, every file of every machine out.
//!
//! Nothing here reads a clock, the environment, a file or a random number: the same lab, software, settings and material
//! give the same bytes. Templates lie in `templates/`, shaped like a machine's file system; they hold values and loops
//! only, and every decision is made here.
//!
//! - [`guest_files`] is what a machine gets: configuration, keys, units, scripts.
//! - [`group_files`] is what lies in a server's folder on the host: a Vagrantfile and one self-extracting archive per
//!   machine, an ordinary Vagrant project.
//! - [`explain`] says for a guest file who reads it and why its lines are there.
//!
//! For many machines of one lab make one [`Renderer`], which renders once what they all share.

mod add_ons;
mod archive;
mod calico;
mod cluster_files;
mod context;
mod error;
pub mod explain;
mod file;
mod group;
mod key_files;
mod quote;
mod renderer;
mod settings;
mod table;
mod templates;

pub use cluster_files::{NO_SETTINGS, SETTINGS_FILE};
pub use error::Error;
pub use file::{GuestFile, HostFile, Owner};
pub use group::{VAGRANTFILE_TEMPLATE, group_files};
pub use key_files::{ETCD_TOKEN, Material, SSH_KEY, Secret, pki_cluster, pki_plan};
pub use renderer::{Renderer, guest_files};
pub use settings::{AddOnImages, MachineImage, Settings, Software};
pub use table::purpose_of;

//! Tests of what is rendered, in one program.

mod checkers;
mod compat;
mod docker;
mod docs;
mod explain;
mod golden;
mod labs;
mod libvirt;
mod names;
mod renewal;
mod scale;
mod scripts;
mod trust;
mod virtualbox;
mod vm_compat;

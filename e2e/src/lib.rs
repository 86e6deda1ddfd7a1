//! What the tests on real machines share: the tool under test, and the host it must leave as it found it.

mod asker;
mod balancers;
mod browser;
mod fresh;
mod host;
mod informer;
mod lab_file;
mod lan;
mod leaks;
mod machines;
mod memory;
mod relay;
mod renewal;
mod requester;
mod story;
mod tool;
mod users;
mod writer;

pub use asker::Asker;
pub use balancers::{assert_a_removed_address_comes_back, assert_forged_adverts_are_refused};
pub use browser::{Browser, FORMS, Form, Loaded};
pub use fresh::{Bare, Fresh, Site};
pub use host::{Host, Settings};
pub use informer::Informer;
pub use lab_file::LabFile;
pub use lan::Lan;
pub use leaks::LeakWatch;
pub use machines::{docker, on};
pub use renewal::assert_renewed_unnoticed;
pub use requester::{Answers, Requester};
pub use story::{
    assert_recorded, assert_verified, bundled_kubectl, kubectl, on_a_clean_host, runs_long,
    runs_virtual_machines,
};
pub use tool::{Ended, Tool};
pub use users::{Seen, Users};
pub use writer::Writer;

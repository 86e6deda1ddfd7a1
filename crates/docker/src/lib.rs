//! What does the container engine have, and what is it asked to do?
//!
//! One client, [`DockerCli`], for all who need the engine: those who make images, those who run machines in containers, and
//! those who judge whether this computer can. It is the command `docker`, which is also what Vagrant runs, so both always
//! ask the same engine ([`Endpoint`]).
//!
//! Nothing here knows what a container is for, or by which labels its owner is found.

mod cli;
mod endpoint;
mod engine;
mod error;
mod image;
mod inspect;
mod layer;
mod remove;

pub use cli::DockerCli;
pub use endpoint::Endpoint;
pub use engine::{DockerVersion, EngineInfo, ServerComponent, ServerVersion};
pub use error::{Error, is_down, is_forbidden, is_gone};
pub use image::EngineImage;
pub use inspect::{Container, Network, NetworkMember, Volume};
pub use layer::ContainerLayer;

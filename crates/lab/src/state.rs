//! What a lab's folder of state holds beside a folder for each server, whose names must therefore be others.

/// All of the lab as it was once.
pub const CHECKPOINTS: &str = "checkpoints";
/// What was given to the machines that exist.
pub const DEPLOYED: &str = "deployed";
/// What drills have seen.
pub const DRILLS: &str = "drills";
/// The user's own images, and which machines they are for.
pub const IMAGES: &str = "images";
/// The operator's kubeconfig.
pub const KUBECONFIG: &str = "kubeconfig";
/// Who runs a verb on the lab now.
pub const LOCK: &str = "lock";
/// What Vagrant printed.
pub const LOGS: &str = "logs";
/// The store of keys and certificates.
pub const PKI: &str = "pki";
/// Copies of etcd's data.
pub const SNAPSHOTS: &str = "snapshots";
/// The lab's own ssh key and the host keys of its machines.
pub const SSH: &str = "ssh";
/// What happened in each run.
pub const TIMELINE: &str = "timeline";

/// All names that a server could have as well; one with a dot is no server's.
pub const NAMES: [&str; 11] = [
    CHECKPOINTS,
    DEPLOYED,
    DRILLS,
    IMAGES,
    KUBECONFIG,
    LOCK,
    LOGS,
    PKI,
    SNAPSHOTS,
    SSH,
    TIMELINE,
];

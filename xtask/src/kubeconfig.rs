//! kubeconfig
pub(crate) mod merge;

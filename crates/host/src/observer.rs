//! Who is told what happens to this computer.

/// Who is told what happens to this computer, and asked whether it may.
pub trait SetupObserver {
    /// Something that people should read.
    fn note(&self, text: &str);
    /// The same, where it is no good news.
    fn warning(&self, text: &str);
    /// A step that takes a while has begun.
    fn began(&self, step: &str);
    /// A line that a package manager said during that step.
    fn line(&self, line: &str);
    /// Something was done.
    fn done(&self, text: &str);
    /// Whether the user wants what was just told.
    fn confirms(&self, question: &str) -> bool;
}

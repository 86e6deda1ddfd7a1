//! The lab tool: parses the command line, goes to the workspace root, runs one verb.

fn main() {}

//! Tests on real machines live in `tests/`.

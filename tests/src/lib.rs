//! Cross-crate tests live in `tests/tests/`; what they share lives here.

//! GitHub Actions: its expressions, its files, and what they are as buildspecs.

pub mod expressions;

//! The wish that everything ends.

/// Whether somebody who takes jobs is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// No.
    #[default]
    No,
    /// After the jobs that it has.
    Drain,
    /// With the jobs that it has.
    Stop,
}

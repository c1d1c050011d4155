/// Why a report file could not be read. A report with such a file is INCOMPLETE; the build goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The file could not be opened or read; made by whoever reads files.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The report file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// Nothing but white space.
    #[error("{file}: the file is empty: the test tool wrote no results")]
    Empty {
        /// The report file.
        file: String,
    },
    /// The file ends too early.
    #[error(
        "{file}: the file ends at line {line}, byte {byte}, inside {inside}: the test tool was stopped before it \
         finished writing"
    )]
    Truncated {
        /// The report file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Bytes before the place, in the text as UTF-8.
        byte: usize,
        /// What was still open.
        inside: String,
    },
    /// Not well-formed.
    #[error("{file}: line {line}, byte {byte}: {reason}")]
    Malformed {
        /// The report file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Bytes before the place, in the text as UTF-8.
        byte: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Well-formed, but another format.
    #[error("{file}: not a {format} file: {found}; `file-format` must name what the tool writes")]
    WrongFormat {
        /// The report file.
        file: String,
        /// CodeBuild's name of the expected format.
        format: &'static str,
        /// What was found, and what was expected.
        found: String,
    },
}

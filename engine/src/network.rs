//! The port to whatever gives a build a network of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use crate::executor::Check;

/// Joins network namespaces to the outside, each apart from all others: a way out, name resolution, and neither the
/// host's own services nor another build within reach.
///
/// The calls are a handful of system calls each and block for that long.
pub trait PrivateNetwork: Send + Sync {
    /// How names are resolved in an attached namespace; the same for all, and known before any is attached.
    ///
    /// # Errors
    /// When the host's own settings cannot be read.
    fn resolver(&self) -> Result<Resolver, NetworkError>;

    /// Does what needs no namespace yet, so that [`attach`](Self::attach) is quick; nobody has to call it.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn prepare(&self) -> Result<(), NetworkError> {
        Ok(())
    }

    /// Joins a namespace to the outside. It must have no interface yet but loopback, which is brought up too.
    ///
    /// # Errors
    /// [`NetworkError`]; whatever was made before the failure is removed again.
    fn attach(&self, attempt: &str, namespace: BorrowedFd<'_>) -> Result<Attachment, NetworkError>;

    /// Cuts an attempt's namespace off; not an error when it is cut off or gone.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn detach(&self, attempt: &str) -> Result<(), NetworkError>;

    /// Cuts off every namespace whose attempt `is_live` does not know, and takes back what nothing needs any more.
    /// Returns one line for each thing removed.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    fn sweep(
        &self,
        is_live: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, NetworkError>;

    /// What works on this machine and what does not, with the remedy.
    fn check(&self) -> Vec<Check>;
}

/// A namespace that has been joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The interface's name on the host.
    pub interface: String,
    /// The namespace's own address.
    pub address: Ipv4Addr,
    /// The host's end, where everything goes.
    pub gateway: Ipv4Addr,
}

/// How names are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Servers, in order.
    pub servers: Vec<IpAddr>,
    /// Domains that short names are looked up in.
    pub search: Vec<String>,
    /// Options, as in `ndots:2`.
    pub options: Vec<String>,
}

impl std::fmt::Display for Resolver {
    /// As `/etc/resolv.conf` has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for server in &self.servers {
            writeln!(f, "nameserver {server}")?;
        }
        for (word, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                writeln!(f, "{word} {}", values.join(" "))?;
            }
        }
        Ok(())
    }
}

/// What a network could not do.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// This machine or this user cannot have private networks at all.
    #[error("private networks cannot be made: {reason}; {remedy}")]
    Unavailable {
        /// Why.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// Something else.
    #[error("{doing} failed: {reason}")]
    Other {
        /// What was being done.
        doing: String,
        /// Why, and what to do.
        reason: String,
    },
}

//! Which network a sandbox gets.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::{Arc, OnceLock};

use runspan_engine::{Network, NetworkError, PrivateNetwork};

use crate::process::Process;
use crate::spec::Network as Kind;

/// Makes private networks ready, or says why this machine has none.
pub type OpenNetworks = dyn Fn() -> Result<Arc<dyn PrivateNetwork>, NetworkError> + Send + Sync;

/// Private networks, looked for once they are needed.
#[derive(Clone)]
pub(crate) struct Networks {
    open: Arc<OpenNetworks>,
    opened: Arc<OnceLock<Arc<dyn PrivateNetwork>>>,
}

/// What a sandbox gets.
pub(crate) enum Given {
    /// Nothing but loopback.
    None,
    /// The machine's own.
    Host,
    /// One of its own with a way out.
    Private(Arc<dyn PrivateNetwork>),
    /// That of another sandbox, which has one of its own.
    Of { first: Process, network: Option<Arc<dyn PrivateNetwork>> },
}

impl Networks {
    pub(crate) fn new(open: Arc<OpenNetworks>) -> Self {
        Self { open, opened: Arc::default() }
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn PrivateNetwork>, NetworkError> {
        if let Some(opened) = self.opened.get() {
            return Ok(Arc::clone(opened));
        }
        let opened = (self.open)()?;
        Ok(Arc::clone(self.opened.get_or_init(|| opened)))
    }

    /// What is given for what was asked, with a warning when it is less.
    pub(crate) fn choose(&self, asked: Network) -> Result<(Given, Option<String>), NetworkError> {
        Ok(match asked {
            Network::None => (Given::None, None),
            Network::Host => (Given::Host, None),
            Network::Private => (Given::Private(self.open()?), None),
            Network::PrivateOrHost => match self.open() {
                Ok(network) => (Given::Private(network), None),
                Err(error) => {
                    let warning = format!("the build uses this machine's own network: {error}");
                    (Given::Host, Some(warning))
                }
            },
        })
    }
}

impl Given {
    /// The network of the sandbox with this first process, which was given the like of this.
    pub(crate) fn shared_by(self, first: Process) -> Self {
        match self {
            Self::Private(network) => Self::Of { first, network: Some(network) },
            Self::None => Self::Of { first, network: None },
            given => given,
        }
    }

    /// As the first process is told.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::None | Self::Private(_) => Kind::Own,
            Self::Host => Kind::Machine,
            Self::Of { first, .. } => Kind::Of(first.id()),
        }
    }

    /// Joins the sandbox of this first process to its network; the text of `/etc/resolv.conf` there.
    pub(crate) fn join(&self, attempt: &str, first: Process) -> Result<Option<String>, String> {
        match self {
            Self::None | Self::Of { network: None, .. } => Ok(Some(String::new())),
            Self::Host => Ok(std::fs::read_to_string("/etc/resolv.conf").ok()),
            Self::Private(network) => {
                let path = format!("/proc/{}/ns/net", first.id());
                let namespace = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
                network.attach(attempt, namespace.as_fd()).map_err(|error| error.to_string())?;
                Ok(Some(network.resolver().map_err(|error| error.to_string())?.to_string()))
            }
            Self::Of { network: Some(network), .. } => {
                Ok(Some(network.resolver().map_err(|error| error.to_string())?.to_string()))
            }
        }
    }
}

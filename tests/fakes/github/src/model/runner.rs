//! Runners, their groups and sessions.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{GitHub, Refused, Scope, settings::version};

/// The pool in which runners land by default.
pub(crate) const DEFAULT_GROUP: u64 = 1;
/// The group of GitHub's own machines.
pub(crate) const HOSTED_GROUP: u64 = 2;

/// A group of runners; the older services call it a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerGroup {
    /// Number.
    pub id: u64,
    /// Name.
    pub name: String,
    /// It is GitHub's own.
    pub hosted: bool,
}

/// A label of a runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// As it was given.
    pub name: String,
    /// The runner gave it itself; `user` otherwise.
    pub system: bool,
}

/// A runner's public key: big-endian numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicKey {
    /// The modulus.
    pub modulus: Vec<u8>,
    /// The exponent.
    pub exponent: Vec<u8>,
}

/// A connection of a runner.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its identity.
    pub id: Uuid,
    /// Who opened it.
    pub owner: String,
    /// When the runner was last heard of.
    pub seen: Timestamp,
    /// The key for messages, when they are encrypted.
    pub key: Option<[u8; 32]>,
}

/// What a runner says of itself when it registers.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Where.
    pub scope: Scope,
    /// Group.
    pub group: u64,
    /// Name, unique within the scope.
    pub name: String,
    /// Version.
    pub version: String,
    /// Description of its system.
    pub os: String,
    /// Labels.
    pub labels: Vec<Label>,
    /// It takes one job only.
    pub ephemeral: bool,
    /// It does not want to be updated.
    pub disable_update: bool,
    /// Its key.
    pub key: PublicKey,
}

/// A registered runner.
#[derive(Clone, Debug)]
pub struct Runner {
    /// Number.
    pub id: u64,
    /// What it said of itself.
    pub registration: Registration,
    /// Its identity in OAuth.
    pub client: Uuid,
    /// Its connection.
    pub session: Option<Session>,
}

impl Runner {
    /// Whether it has all of the labels.
    pub fn has_labels(&self, wanted: &[String]) -> bool {
        wanted
            .iter()
            .all(|label| self.registration.labels.iter().any(|own| own.name.eq_ignore_ascii_case(label)))
    }

    /// Whether it was heard of lately.
    pub fn online(&self, now: Timestamp, lifetime: Duration) -> bool {
        self.session.as_ref().is_some_and(|session| within(session.seen, now, lifetime))
    }
}

pub(crate) fn within(since: Timestamp, now: Timestamp, lifetime: Duration) -> bool {
    now.duration_since(since).unsigned_abs() < lifetime
}

/// A runner's own labels win over the user's of the same name.
fn merged(labels: Vec<Label>) -> Vec<Label> {
    let (system, user): (Vec<Label>, Vec<Label>) = labels.into_iter().partition(|label| label.system);
    let mut merged: Vec<Label> = Vec::new();
    for label in system.into_iter().chain(user) {
        if !label.name.is_empty() && !merged.iter().any(|own| own.name.eq_ignore_ascii_case(&label.name)) {
            merged.push(label);
        }
    }
    merged
}

impl GitHub {
    /// Registers a runner.
    ///
    /// # Errors
    /// The name is taken, the key is weak, the version is too old or the group is not one for runners.
    pub fn register(&mut self, mut registration: Registration) -> Result<u64, Refused> {
        self.check(&registration)?;
        let taken = self.runners.values().any(|runner| {
            runner.registration.scope == registration.scope
                && runner.registration.name.eq_ignore_ascii_case(&registration.name)
        });
        if taken {
            return Err(Refused::RunnerExists(registration.name));
        }
        registration.labels = merged(registration.labels);
        let id = self.next_id();
        let client = Uuid::new_v4();
        self.runners.insert(id, Runner { id, registration, client, session: None });
        Ok(id)
    }

    /// Registers a runner anew in the place of another, which keeps its number.
    ///
    /// # Errors
    /// There is no such runner, or see [`GitHub::register`].
    pub fn replace(&mut self, id: u64, mut registration: Registration) -> Result<(), Refused> {
        self.check(&registration)?;
        registration.labels = merged(registration.labels);
        let runner = self.runners.get_mut(&id).ok_or(Refused::RunnerNotFound)?;
        *runner = Runner { id, registration, client: Uuid::new_v4(), session: None };
        self.expire_access_tokens_of(id);
        Ok(())
    }

    fn check(&self, registration: &Registration) -> Result<(), Refused> {
        let refuse = |why: &str| Err(Refused::BadRequest(why.to_owned()));
        if registration.name.trim().is_empty() {
            return refuse("The runner needs a name");
        }
        if registration.key.modulus.len() < 256 || registration.key.exponent.is_empty() {
            return refuse("The runner's public key must be RSA of at least 2048 bits");
        }
        if self.settings.registration_version.is_some_and(|floor| version(&registration.version) < floor) {
            return Err(Refused::RunnerTooOld(registration.version.clone()));
        }
        match self.groups.iter().find(|group| group.id == registration.group) {
            None => Err(Refused::NotFound(format!("No runner group has the number {}", registration.group))),
            Some(group) if group.hosted => {
                Err(Refused::Forbidden(format!("The group {} is for GitHub-hosted runners", group.name)))
            }
            Some(_) => Ok(()),
        }
    }

    /// Removes a runner that does not work.
    ///
    /// # Errors
    /// There is none, or it works.
    pub fn remove_runner(&mut self, id: u64) -> Result<(), Refused> {
        let runner = self.runners.get(&id).ok_or(Refused::RunnerNotFound)?;
        if self.busy(id) {
            return Err(Refused::RunnerBusy(runner.registration.name.clone()));
        }
        self.revoke(id);
        Ok(())
    }

    /// Removes a runner whatever it does, as an administrator or GitHub itself would; its job lives on until
    /// its lock ends. Its access tokens still say who it was, and get "Runner not found".
    pub fn revoke(&mut self, id: u64) {
        self.runners.remove(&id);
        self.messages.remove(&id);
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Another one is alive, or the runner is too old.
    pub fn open_session(&mut self, id: u64, owner: &str, runner_version: &str) -> Result<Uuid, Refused> {
        let now = self.now();
        self.admit(runner_version)?;
        let lifetime = self.settings.session;
        let encrypted = matches!(self.settings.delivery, super::Delivery::Queue { encrypted: true, .. });
        let runner = self.runners.get_mut(&id).ok_or(Refused::RunnerNotFound)?;
        if runner.online(now, lifetime) {
            return Err(Refused::SessionConflict(runner.registration.name.clone()));
        }
        let key = encrypted.then(|| {
            let mut key = [0; 32];
            key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
            key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
            key
        });
        let session = Uuid::new_v4();
        runner.session = Some(Session { id: session, owner: owner.to_owned(), seen: now, key });
        Ok(session)
    }

    /// Ends a runner's session.
    ///
    /// # Errors
    /// There is no such runner.
    pub fn close_session(&mut self, id: u64) -> Result<(), Refused> {
        self.runners.get_mut(&id).ok_or(Refused::RunnerNotFound)?.session = None;
        Ok(())
    }

    /// Refuses a runner that is too old for messages.
    pub(crate) fn admit(&self, runner_version: &str) -> Result<(), Refused> {
        match self.settings.minimum_version {
            Some(floor) if version(runner_version) < floor => {
                Err(Refused::RunnerTooOld(runner_version.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Whether a runner has a job.
    pub fn busy(&self, id: u64) -> bool {
        self.jobs.values().any(|job| job.runner() == Some(id))
    }
}

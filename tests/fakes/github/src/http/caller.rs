//! Who calls.

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use crate::{
    model::{Identity, Refused, TokenKind},
    server::App,
};

/// The `Authorization` of a call, as it stands.
pub(super) struct Authorization(pub(super) Option<String>);

impl Authorization {
    fn token(&self) -> Result<&str, Refused> {
        let credentials = self.0.as_deref().ok_or(Refused::Unauthorized)?;
        match credentials.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
            _ => Err(Refused::Unauthorized),
        }
    }

    /// The runner whose access token this is.
    pub(super) fn runner(&self, app: &App) -> Result<u64, Refused> {
        match app.read(|github| github.holder(self.token()?))? {
            TokenKind::Runner(id) => Ok(id),
            _ => Err(Refused::Forbidden("This call takes a runner's token".to_owned())),
        }
    }

    /// What the bearer token is good for.
    pub(super) fn holder(&self, app: &App) -> Result<TokenKind, Refused> {
        app.read(|github| github.holder(self.token()?))
    }

    /// Who calls the public API.
    pub(super) fn identity(&self, app: &App) -> Result<Identity, Refused> {
        let credentials = self.0.as_deref().ok_or(Refused::Unauthorized)?;
        app.read(|github| github.identify(credentials))
    }

    /// The call comes from someone who may administer what the owner has.
    pub(super) fn administers(&self, app: &App, owner: &str) -> Result<(), Refused> {
        match self.identity(app)? {
            Identity::Token(TokenKind::Person) => Ok(()),
            Identity::Token(TokenKind::Installation(account)) if account.eq_ignore_ascii_case(owner) => {
                Ok(())
            }
            _ => Err(Refused::Forbidden("Must have admin rights to Repository.".to_owned())),
        }
    }

    /// The call comes from someone who may read and write in the owner's repositories.
    pub(super) fn writes(&self, app: &App, owner: &str) -> Result<(), Refused> {
        match self.identity(app)? {
            Identity::Token(TokenKind::Workflow(job)) => app.read(|github| {
                let run = github.jobs.get(&job).and_then(|job| github.runs.get(&job.run));
                let own = run.and_then(|run| run.repository.split_once('/')).map(|(owner, _)| owner);
                match own {
                    Some(own) if own.eq_ignore_ascii_case(owner) => Ok(()),
                    _ => Err(Refused::NotFound("Not Found".to_owned())),
                }
            }),
            _ => self
                .administers(app, owner)
                .map_err(|_| Refused::Forbidden("Resource not accessible by integration".to_owned())),
        }
    }

    /// As [`Self::writes`]; a job's token needs to have been given this permission.
    pub(super) fn may_write(&self, app: &App, owner: &str, permission: &str) -> Result<(), Refused> {
        self.writes(app, owner)?;
        match self.identity(app)? {
            Identity::Token(TokenKind::Workflow(job))
                if !app.read(|github| github.may_write(job, permission)) =>
            {
                Err(Refused::Forbidden("Resource not accessible by integration".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Authorization {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        Ok(Self(value.map(str::to_owned)))
    }
}

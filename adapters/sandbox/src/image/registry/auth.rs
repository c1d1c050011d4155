//! Logging in: user name and password, or a token that is got for them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, Url};
use runspan_engine::image::Login;
use serde::Deserialize;

use super::answer::Trouble;
use super::challenge::Challenge;
use super::{Registry, is_loopback, is_web_page};

impl Registry {
    /// Does what a 401 asks for; `used` is the header that was refused.
    pub(super) async fn log_in(&self, refused: &Response, used: Option<&HeaderValue>) -> Result<(), Trouble> {
        let mut authorization = self.authorization.lock().await;
        // Another layer's request was here first.
        if authorization.as_ref() != used {
            return Ok(());
        }
        *authorization = match challenge(refused.headers()) {
            Some(Challenge::Basic) => match &self.login {
                Some(login) => Some(basic(login)?),
                None => return Ok(()),
            },
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository));
                Some(self.token(&realm, service.as_deref(), &scope).await?)
            }
            None => {
                let registry = &self.reference.registry;
                return Err(Trouble::Lasting(format!(
                    "{registry} wants a login and does not say which way (401)"
                )));
            }
        };
        Ok(())
    }

    async fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<HeaderValue, Trouble> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let registry = &self.reference.registry;
        let broken = |why: &str| Trouble::Lasting(format!("{registry}: its token service {realm} {why}"));
        let mut url = Url::parse(realm).map_err(|error| broken(&format!("has no address: {error}")))?;
        let in_the_clear = url.scheme() == "http"
            && self.base.starts_with("http:")
            && url.host_str().is_some_and(is_loopback);
        if url.scheme() != "https" && !in_the_clear {
            return Err(broken("is without TLS, so no login is sent there"));
        }
        let mut fields = vec![("scope", scope)];
        fields.extend(service.map(|service| ("service", service)));
        let request = match &self.login {
            Some(Login { identity_token: Some(token), .. }) => {
                fields.extend([("grant_type", "refresh_token"), ("client_id", "runspan")]);
                fields.push(("refresh_token", token.reveal()));
                let post = self.http.post(url.clone()).body(form(&fields));
                post.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            }
            login => {
                url.query_pairs_mut().extend_pairs(&fields);
                let get = self.http.get(url);
                match login {
                    Some(login) => get.header(AUTHORIZATION, basic(login)?),
                    None => get,
                }
            }
        };
        let response = request.send().await.map_err(|error| self.trouble(&error))?;
        if is_web_page(&response) {
            return Err(Trouble::Lasting(self.web_page(&response)));
        }
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let text = self.short(response).await.map_err(Trouble::Lasting)?;
        let answer: Answer = serde_json::from_slice(&text).map_err(|_| broken("gives no token"))?;
        let token = answer.token.or(answer.access_token).ok_or_else(|| broken("gives no token"))?;
        secret(format!("Bearer {token}")).ok_or_else(|| broken("gives a token that cannot be sent"))
    }
}

fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let all = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut challenges: Vec<_> =
        all.filter_map(|value| value.to_str().ok()).filter_map(Challenge::parse).collect();
    challenges.sort_by_key(|challenge| *challenge == Challenge::Basic);
    challenges.into_iter().next()
}

fn basic(login: &Login) -> Result<HeaderValue, Trouble> {
    let pair = format!("{}:{}", login.login.username, login.login.password.reveal());
    secret(format!("Basic {}", STANDARD.encode(pair)))
        .ok_or_else(|| Trouble::Lasting("the login cannot be sent".into()))
}

fn secret(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn form(fields: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params("http://form", fields);
    url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

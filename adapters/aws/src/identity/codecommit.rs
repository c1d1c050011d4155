//! Logins for repositories of CodeCommit: the password is a signature over host and path, good for some minutes.

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use jiff::Timestamp;
use runspan_agent_protocol::{GitLogin, Secret};
use sha2::{Digest as _, Sha256};

/// The region of a host; `None` for one that is not CodeCommit's.
pub(super) fn region(host: &str) -> Option<String> {
    let host = without_port(host);
    let labels: Vec<&str> = host.split('.').collect();
    let at = labels.iter().position(|label| matches!(*label, "git-codecommit" | "git-codecommit-fips"))?;
    let (before, rest) = (&labels[..at], &labels[at + 1..]);
    let is_endpoint = matches!(before, [] | [_]) && before.iter().all(|label| label.starts_with("vpce-"));
    match rest {
        [region, "amazonaws", "com"]
        | [region, "amazonaws", "com", "cn"]
        | [region, "vpce", "amazonaws", "com"]
            if is_endpoint && !region.is_empty() =>
        {
            Some((*region).to_owned())
        }
        _ => None,
    }
}

/// The login for a repository, by its URL's host and path, at this time.
pub(super) fn login(
    credentials: &Credentials,
    region: &str,
    host: &str,
    path: &str,
    now: Timestamp,
) -> Result<GitLogin, String> {
    let host = without_port(host);
    let path = path.trim_start_matches('/');
    // CodeCommit wants it without the `Z`.
    let time = now.strftime("%Y%m%dT%H%M%S").to_string();
    let canonical = format!("GIT\n/{path}\n\nhost:{host}\n\nhost\n");
    let digest: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    let day = &time[..8];
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{day}/{region}/codecommit/aws4_request\n{digest}");
    let key = generate_signing_key(credentials.secret_access_key(), now.into(), region, "codecommit");
    let signature = calculate_signature(key, to_sign.as_bytes());
    let username = match credentials.session_token() {
        Some(token) => format!("{}%{token}", credentials.access_key_id()),
        None => credentials.access_key_id().to_owned(),
    };
    Ok(GitLogin { username, password: Secret::new(format!("{time}Z{signature}")) })
}

fn without_port(host: &str) -> &str {
    host.split(':').next().unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_botocore() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let host = "git-codecommit.us-east-1.amazonaws.com";
        let of = |key: &str, token: Option<&str>| {
            let credentials = Credentials::new(key, secret, token.map(str::to_owned), None, "test");
            login(&credentials, "us-east-1", host, "v1/repos/MyDemoRepo", now).unwrap()
        };
        let expected = "20260102T030405Z689f46fba589ac048607b7e883cbfafde1537303e119b66a47c6943165b49073";
        let plain = of("AKIDEXAMPLE", None);
        assert_eq!((plain.username.as_str(), plain.password.reveal()), ("AKIDEXAMPLE", expected));
        let session = of("ASIDEXAMPLE", Some("tok/en+="));
        assert_eq!(
            (session.username.as_str(), session.password.reveal()),
            ("ASIDEXAMPLE%tok/en+=", expected)
        );
    }

    #[test]
    fn only_hosts_of_codecommit_get_one() {
        for (host, expected) in [
            ("git-codecommit.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("git-codecommit-fips.us-east-1.amazonaws.com:443", Some("us-east-1")),
            ("git-codecommit.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("vpce-0a-1b.git-codecommit.us-east-1.vpce.amazonaws.com", Some("us-east-1")),
            ("evil.git-codecommit.us-east-1.amazonaws.com", None),
            ("git-codecommit.us-east-1.amazonaws.com.evil.com", None),
            ("github.com", None),
        ] {
            assert_eq!(region(host).as_deref(), expected, "{host}");
        }
    }
}

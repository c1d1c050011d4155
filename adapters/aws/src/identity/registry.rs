//! Logins for registries of ECR.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runspan_agent_protocol::Secret;
use runspan_engine::RegistryLogin;
use serde_json::json;

use crate::account::Account;
use crate::permissions::GET_AUTHORIZATION_TOKEN;
use crate::signed::Service;

const ECR: Service = Service::new("ECR", "ecr", "AmazonEC2ContainerRegistry_V20150921").host("api.ecr");

/// The login for a registry, which is good for 12 hours; `None` for one that is not ECR's.
pub(super) async fn login(account: &Account, registry: &str) -> Result<Option<RegistryLogin>, String> {
    let Some((id, region)) = parts(registry) else { return Ok(None) };
    let account = account.in_region(region);
    let answer = account
        .json(ECR, GET_AUTHORIZATION_TOKEN, &json!({ "registryIds": [id] }))
        .await
        .map_err(|error| error.to_string())?;
    let token = answer["authorizationData"][0]["authorizationToken"].as_str();
    let decoded = token.and_then(|token| STANDARD.decode(token).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (username, password) = text
        .split_once(':')
        .ok_or_else(|| format!("{GET_AUTHORIZATION_TOKEN} was answered without a token"))?;
    Ok(Some(RegistryLogin { username: username.to_owned(), password: Secret::new(password) }))
}

/// Account and region of `ACCOUNT.dkr.ecr.REGION.amazonaws.com`.
fn parts(registry: &str) -> Option<(&str, &str)> {
    let labels: Vec<&str> = registry.split('.').collect();
    match labels.as_slice() {
        [id, "dkr", "ecr" | "ecr-fips", region, "amazonaws", "com"]
        | [id, "dkr", "ecr", region, "amazonaws", "com", "cn"]
            if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some((id, region))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registries_of_ecr_are_asked_about() {
        assert_eq!(
            parts("123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
            Some(("123456789012", "eu-west-1"))
        );
        assert_eq!(
            parts("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            Some(("123456789012", "cn-north-1"))
        );
        for other in ["docker.io", "public.ecr.aws", "1.dkr.ecr.eu-west-1.amazonaws.com", "localhost:5000"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}

//! `secret-id:json-key:version-stage:version-id`.

/// A reference to a secret, or to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// What is fetched.
    pub(super) version: Version,
    /// A member of the secret, which is JSON then.
    pub(super) json_key: Option<String>,
}

/// One version of one secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Version {
    /// Name or ARN.
    pub(super) id: String,
    /// `AWSCURRENT` when neither this nor the version's id is given.
    pub(super) stage: Option<String>,
    pub(super) version_id: Option<String>,
}

/// `arn:aws:secretsmanager:region:account:secret:name`.
const ARN_FIELDS: usize = 7;

impl Reference {
    /// Reads a reference; parts may be empty, and trailing ones may be missing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split(':').collect();
        let of_id = if text.starts_with("arn:") { ARN_FIELDS } else { 1 };
        let (id, rest) = fields.split_at(of_id.min(fields.len()));
        if rest.len() > 3 || id.len() < of_id || id.iter().any(|part| part.is_empty()) {
            return Err(format!(
                "`{text}` is no reference to a secret; write secret-id:json-key:version-stage:version-id"
            ));
        }
        let part =
            |index: usize| rest.get(index).filter(|part| !part.is_empty()).map(|part| (*part).to_owned());
        Ok(Self {
            version: Version { id: id.join(":"), stage: part(1), version_id: part(2) },
            json_key: part(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/api-AbCdEf";
        for id in ["prod/api", arn] {
            for (rest, key, stage, version_id) in [
                ("", "", "", ""),
                (":key", "key", "", ""),
                (":key:AWSPREVIOUS", "key", "AWSPREVIOUS", ""),
                ("::AWSPREVIOUS", "", "AWSPREVIOUS", ""),
                (":key::id", "key", "", "id"),
                (":::id", "", "", "id"),
                (":key:stage:id", "key", "stage", "id"),
                (":::", "", "", ""),
            ] {
                let found = Reference::parse(&format!("{id}{rest}")).unwrap();
                let text = |part: &Option<String>| part.clone().unwrap_or_default();
                assert_eq!(found.version.id, id);
                let parts = [&found.json_key, &found.version.stage, &found.version.version_id].map(text);
                assert_eq!(parts, [key, stage, version_id].map(str::to_owned), "{id}{rest}");
            }
        }
        for bad in ["", ":key", "id:a:b:c:d", "arn:aws:secretsmanager:eu-west-1:1:secret"] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }
}

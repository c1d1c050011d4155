//! The images that CodeBuild curates; one that AWS keeps for itself must be copied to a registry first.

use serde_json::{Value, json};

use crate::api::Api;

const AMAZON_LINUX: [&str; 3] = [
    "aws/codebuild/amazonlinux-x86_64-standard:5.0",
    "aws/codebuild/amazonlinux-aarch64-standard:3.0",
    "aws/codebuild/amazonlinux2-x86_64-standard:5.0",
];

impl Api {
    /// Only those that anybody can pull.
    pub(crate) fn list_curated_environment_images() -> Value {
        let images = AMAZON_LINUX.map(|name| json!({ "name": name, "description": name, "versions": [] }));
        json!({
            "platforms": [{
                "platform": "AMAZON_LINUX_2",
                "languages": [{ "language": "BASE", "images": images }],
            }],
        })
    }
}

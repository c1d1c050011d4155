//! Where the tenant's resources are.

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use serde_json::{Value, json};

use super::{caller::Authorization, refusals::TenantRefusal};
use crate::server::App;

/// The number of the last change, which a client sends back to learn whether there is a newer one.
const CHANGE: i64 = 16_777_300;

/// Identity, name, path and version of each resource.
const RESOURCES: &[(&str, &str, &str, u32)] = &[
    ("a8c47e17-4d56-4a56-92bb-de7ea7dc65be", "pools", "_apis/{area}/{resource}/{poolId}", 1),
    ("e298ef32-5878-4cab-993c-043836571f42", "agents", "_apis/{area}/pools/{poolId}/{resource}/{agentId}", 2),
    (
        "134e239e-2df3-4794-a6f6-24f1f19ec8dc",
        "sessions",
        "_apis/{area}/pools/{poolId}/{resource}/{sessionId}",
        1,
    ),
    (
        "c3a054f6-7a8a-49c0-944e-3a8e5d7adfd7",
        "messages",
        "_apis/{area}/pools/{poolId}/{resource}/{messageId}",
        1,
    ),
    ("25adab70-1379-4186-be8e-b643061ebe3a", "runnermessages", "_apis/{area}/{resource}/{messageId}", 1),
    (
        "fc825784-c92a-4299-9221-998a02d1b54f",
        "jobrequests",
        "_apis/{area}/pools/{poolId}/{resource}/{requestId}",
        1,
    ),
    (
        "557624af-b29e-4c20-8ab0-0399d2204f3f",
        "events",
        "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/{resource}",
        1,
    ),
    (
        "83597576-cc2c-453c-bea6-2882ae6a1653",
        "timelines",
        "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/{resource}/{timelineId}",
        1,
    ),
    (
        "8893bc5b-35b2-4be7-83cb-99e683551db4",
        "records",
        "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/timelines/{timelineId}/{resource}/{recordId}",
        1,
    ),
    (
        "46f5667d-263a-4684-91b1-dff7fdcf64e2",
        "logs",
        "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/{resource}/{logId}",
        1,
    ),
    (
        "858983e4-19bd-4c5e-864c-507b59b58b12",
        "feed",
        "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/timelines/{timelineId}/records/{recordId}/{resource}",
        1,
    ),
    (
        "7898f959-9cdf-4096-b29e-7f293031629e",
        "attachments",
        "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/timelines/{timelineId}/records/{recordId}/{resource}/{type}/{name}",
        1,
    ),
    (
        "27d7f831-88c1-4719-8ca1-6a061dad90eb",
        "actiondownloadinfo",
        "{scopeIdentifier}/_apis/{area}/hubs/{hubName}/plans/{planId}/{resource}",
        1,
    ),
    (
        "13b5d709-74aa-470b-a8e9-bf9f3ded3f18",
        "runnerconfigrefresh",
        "_apis/{area}/agents/{agentId}/{resource}/{configType}",
        1,
    ),
    (
        "8cc1b02b-ae49-4516-b5ad-4f9b29967c30",
        "updates",
        "_apis/{area}/pools/{poolId}/agents/{agentId}/{resource}",
        1,
    ),
    (
        "8ffcd551-079c-493a-9c02-54346299d144",
        "packages",
        "_apis/{area}/{resource}/{packageType}/{platform}/{version}",
        2,
    ),
];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/_apis/connectionData", get(connection_data))
        .route("/_apis", axum::routing::options(options))
}

async fn connection_data(
    State(app): State<App>,
    caller: Authorization,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, TenantRefusal> {
    caller.holder(&app)?;
    let fresh = query.get("lastChangeId64").is_some_and(|known| *known == CHANGE.to_string());
    let mut location = json!({
        "serviceOwner": "00000000-0000-0000-0000-000000000000",
        "clientCacheFresh": fresh,
        "clientCacheTimeToLive": 3600,
        "defaultAccessMappingMoniker": "ScaleUnitMapping",
        "lastChangeId": CHANGE,
        "lastChangeId64": CHANGE,
    });
    if !fresh {
        let access = format!("{}/_services/pipelines/fake/", app.base);
        location["accessMappings"] = json!([{
            "displayName": "Scale Unit Mapping",
            "moniker": "ScaleUnitMapping",
            "accessPoint": access,
            "serviceOwner": "00000000-0000-0000-0000-000000000000",
            "virtualDirectory": "",
        }]);
        location["serviceDefinitions"] = RESOURCES.iter().map(definition).collect();
    }
    Ok(Json(json!({
        "instanceId": "11111111-1111-1111-1111-111111111111",
        "deploymentId": "11111111-1111-1111-1111-111111111111",
        "deploymentType": "hosted",
        "locationServiceData": location,
    })))
}

fn definition((id, name, path, version): &(&str, &str, &str, u32)) -> Value {
    json!({
        "serviceType": "distributedtask",
        "identifier": id,
        "displayName": name,
        "relativePath": path,
        "description": "",
        "serviceOwner": "00000000-0000-0000-0000-000000000000",
        "locationMappings": [],
        "toolId": "Framework",
        "properties": {},
        "resourceVersion": version,
        "minVersion": "1.0",
        "maxVersion": "6.0",
        "releasedVersion": "0.0",
    })
}

/// The same as a list, for clients that ask for it with OPTIONS.
async fn options() -> Json<Value> {
    let all: Vec<Value> = RESOURCES
        .iter()
        .map(|(id, name, path, version)| {
            json!({
                "id": id, "area": "distributedtask", "resourceName": name, "routeTemplate": path,
                "resourceVersion": version, "minVersion": "1.0", "maxVersion": "6.0", "releasedVersion": "0.0",
            })
        })
        .collect();
    Json(json!({"count": all.len(), "value": all}))
}

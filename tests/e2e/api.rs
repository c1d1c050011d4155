//! CodeBuild's API as the built program serves it, asked by AWS's own command line and by boto3. Builds run in the
//! sandbox on this machine's own root, which needs no image.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_bench;
mod api_clients;
mod api_faults;
mod api_overrides;
mod api_reports;
mod api_service;
mod api_sources;
mod serving;

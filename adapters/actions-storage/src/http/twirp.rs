//! Messages as JSON, which the toolkit sends, or as protocol buffers, which sccache sends.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};

use crate::error::StorageError;

/// How a caller speaks, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Protobuf,
}

impl Format {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with("application/protobuf")) {
            Self::Protobuf
        } else {
            Self::Json
        }
    }

    pub(super) fn read<T: Message + Default + DeserializeOwned>(
        self,
        body: &Bytes,
    ) -> Result<T, StorageError> {
        match self {
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
            Self::Protobuf => T::decode(body.clone()).map_err(|error| error.to_string()),
        }
        .map_err(|error| StorageError::Invalid(format!("the message cannot be read: {error}")))
    }

    pub(super) fn answer(self, value: &(impl Message + Serialize)) -> Response {
        match self {
            Self::Json => axum::Json(value).into_response(),
            Self::Protobuf => {
                let body = Body::from(value.encode_to_vec());
                ([(header::CONTENT_TYPE, "application/protobuf")], body).into_response()
            }
        }
    }
}

/// A number of 64 bits, which JSON has as a text.
pub(super) mod long {
    use super::{Deserialize, Deserializer};

    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        match Either::deserialize(from)? {
            Either::Number(number) => Ok(number),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }

    pub(crate) fn serialize<S: serde::Serializer>(value: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }
}

//! Refusals and failures as answers: the one place where an outcome becomes a status.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use berth_api::{ApiError, ErrorDetail};
use berth_services::{Class, Code, Error as ServiceError, FieldError};

/// Wrong fields that one answer names; more help nobody.
pub(crate) const DETAILS_MAX: usize = 50;
/// How much of a sentence and of a field's path is shown. Most is berthd's own words; the rest
/// is what was sent, which may be anything.
const MESSAGE_CHARACTERS_MAX: usize = 1000;
const FIELD_CHARACTERS_MAX: usize = 128;

/// An answer that is not a success. It is written out at the outermost layer, which knows the
/// request's id.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) details: Vec<ErrorDetail>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The request as a whole cannot be read.
    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            Code::InvalidRequest.as_str(),
            message,
        )
    }

    /// Fields that are not what they must be.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        ServiceError::fields(errors).into()
    }

    /// One field that is not what it must be.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::invalid(field, message)])
    }

    /// No token came.
    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        let mut refusal = Self::new(
            StatusCode::UNAUTHORIZED,
            Code::Unauthenticated.as_str(),
            message,
        );
        refusal.headers.push(challenge());
        refusal
    }

    /// Something failed that no request can help.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "berthd could not do this; its log says why under this request's id",
        )
    }

    pub(crate) fn with(mut self, name: HeaderName, value: u64) -> Self {
        self.headers.push((name, HeaderValue::from(value)));
        self
    }

    /// The body, for the request of that id.
    pub(crate) fn body(self, request_id: &str) -> ApiError {
        ApiError {
            error: self.message,
            code: self.code.to_owned(),
            request_id: request_id.to_owned(),
            details: self.details,
        }
    }
}

fn challenge() -> (HeaderName, HeaderValue) {
    (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn status_of(code: Code) -> StatusCode {
    match (code, code.class()) {
        (Code::InvalidRequest | Code::PageGone, _) => StatusCode::BAD_REQUEST,
        (Code::PreconditionFailed, _) => StatusCode::PRECONDITION_FAILED,
        (_, Class::NotFound) => StatusCode::NOT_FOUND,
        (_, Class::Conflict) => StatusCode::CONFLICT,
        (_, Class::Invalid) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, Class::Unauthenticated) => StatusCode::UNAUTHORIZED,
        (_, Class::Forbidden) => StatusCode::FORBIDDEN,
        (_, Class::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused {
                code,
                message,
                details,
            } => {
                let more = details.len() > DETAILS_MAX;
                let mut message = shortened(message, MESSAGE_CHARACTERS_MAX);
                if more {
                    let told =
                        format!(" (more is wrong: the first {DETAILS_MAX} fields are named)");
                    message.push_str(&told);
                }
                let mut refusal = Self::new(status_of(code), code.as_str(), message);
                refusal.details = details.into_iter().take(DETAILS_MAX).map(detail).collect();
                match code.class() {
                    Class::Unauthenticated => refusal.headers.push(challenge()),
                    Class::Unavailable => {
                        refusal
                            .headers
                            .push((header::RETRY_AFTER, HeaderValue::from_static("1")));
                    }
                    _ => {}
                }
                refusal
            }
            // A reference that should have been found in fields is a field's error by now; what
            // comes here is for the operator, and the user gets the request's id.
            failure @ (ServiceError::Store { .. } | ServiceError::Inconsistent { .. }) => {
                tracing::error!(error = chain(&failure), "a request failed");
                Self::internal()
            }
        }
    }
}

/// One wrong field, on the wire.
pub(crate) fn detail(error: FieldError) -> ErrorDetail {
    ErrorDetail {
        field: shortened(error.field, FIELD_CHARACTERS_MAX),
        message: shortened(error.message, MESSAGE_CHARACTERS_MAX),
        code: Some(error.code.as_str().to_owned()),
    }
}

/// The beginning of a text, and a sign where it went on.
fn shortened(mut text: String, characters_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters_max) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// An error and its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

//! What all calls have in common.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tracing::{Instrument, Span};

use super::Rpc;
use crate::diagnostics::Diagnostic;
use crate::handshake::PROTOCOL_VERSION;
use crate::proto::tfplugin6 as proto;
use crate::server::ProviderServer;
use crate::wire::to_wire;

/// A request, and how it is answered.
pub(super) trait Call: Send + Sized + 'static {
    /// The message that answers it.
    type Reply: Reply;

    /// The name the protocol gives to the call.
    const NAME: &'static str;

    /// What the call is about, for the log.
    fn subject(&self) -> Subject<'_> {
        Subject::Provider
    }

    /// What is answered when the call itself goes wrong: all that is known already, so that the
    /// host forgets nothing.
    fn known(&self) -> Self::Reply {
        Self::Reply::default()
    }

    /// Answers. An error means that the request could not be understood or the answer not be
    /// written; whatever else goes wrong is in the reply.
    fn answer(
        self,
        server: Arc<ProviderServer>,
    ) -> impl Future<Output = Result<Self::Reply, Diagnostic>> + Send;
}

/// An answer, which can always say what went wrong.
pub(super) trait Reply: Default + Send + 'static {
    /// Adds what went wrong.
    fn blame(&mut self, diagnostic: Diagnostic);

    /// What the answer tells the user, for the log.
    fn told(&self) -> &[proto::Diagnostic] {
        &[]
    }
}

macro_rules! replies_with_diagnostics {
    ($($call:ident),* $(,)?) => {$(
        impl Reply for proto::$call::Response {
            fn blame(&mut self, diagnostic: Diagnostic) {
                self.diagnostics.extend(to_wire::diagnostics(&diagnostic.into()));
            }

            fn told(&self) -> &[proto::Diagnostic] {
                &self.diagnostics
            }
        }
    )*};
}

replies_with_diagnostics!(
    apply_resource_change,
    close_ephemeral_resource,
    configure_provider,
    generate_resource_config,
    get_functions,
    get_metadata,
    get_provider_schema,
    get_resource_identity_schemas,
    import_resource_state,
    move_resource_state,
    open_ephemeral_resource,
    plan_action,
    plan_resource_change,
    read_data_source,
    read_resource,
    renew_ephemeral_resource,
    upgrade_resource_identity,
    upgrade_resource_state,
    validate_action_config,
    validate_data_resource_config,
    validate_ephemeral_resource_config,
    validate_list_resource_config,
    validate_provider_config,
    validate_resource_config,
);

/// What a call is about.
pub(super) enum Subject<'a> {
    Provider,
    Resource(&'a str),
    DataSource(&'a str),
    Ephemeral(&'a str),
    Function(&'a str),
}

impl Rpc {
    /// Answers a call in a task of its own. A status is never the answer: the host would forget
    /// an object that was just created.
    pub(super) async fn call<C: Call>(
        &self,
        request: Request<C>,
    ) -> Result<Response<C::Reply>, Status> {
        let request = request.into_inner();
        let span = self.span(&request);
        let mut reply = request.known();
        let server = Arc::clone(&self.server);
        let begun = Instant::now();
        // The answer is made inside the task as well: a large state takes its time.
        let work = async move { request.answer(server).await }.instrument(span.clone());
        match self.handlers.run(work).await {
            Ok(Ok(answer)) => reply = answer,
            Ok(Err(diagnostic)) => reply.blame(diagnostic),
            // What the panic said is in the log, where secrets are masked.
            Err(_panic) => reply.blame(panicked(C::NAME)),
        }
        span.in_scope(|| log_answer(begun, reply.told()));
        Ok(Response::new(reply))
    }

    fn span<C: Call>(&self, request: &C) -> Span {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!(
            "call",
            tf_rpc = C::NAME,
            tf_req_id = format_args!("{}-{number}", std::process::id()),
            tf_provider_addr = self.server.provider().address(),
            tf_proto_version = PROTOCOL_VERSION,
            tf_resource_type = tracing::field::Empty,
            tf_data_source_type = tracing::field::Empty,
            tf_ephemeral_resource_type = tracing::field::Empty,
            tf_function = tracing::field::Empty,
        );
        let (key, name) = match request.subject() {
            Subject::Provider => return span,
            Subject::Resource(name) => ("tf_resource_type", name),
            Subject::DataSource(name) => ("tf_data_source_type", name),
            Subject::Ephemeral(name) => ("tf_ephemeral_resource_type", name),
            Subject::Function(name) => ("tf_function", name),
        };
        span.record(key, name);
        span
    }
}

fn log_answer(begun: Instant, told: &[proto::Diagnostic]) {
    let (mut errors, mut warnings) = (0, 0);
    for diagnostic in told {
        let summary = diagnostic.summary.as_str();
        let detail = diagnostic.detail.as_str();
        if diagnostic.severity() == proto::diagnostic::Severity::Error {
            errors += 1;
            tracing::error!(
                diagnostic_severity = "ERROR",
                diagnostic_summary = summary,
                diagnostic_detail = detail,
                "told the user"
            );
        } else {
            warnings += 1;
            tracing::warn!(
                diagnostic_severity = "WARNING",
                diagnostic_summary = summary,
                diagnostic_detail = detail,
                "told the user"
            );
        }
    }
    tracing::debug!(
        tf_req_duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        diagnostic_error_count = errors,
        diagnostic_warning_count = warnings,
        "answered"
    );
}

fn panicked(call: &str) -> Diagnostic {
    Diagnostic::error(
        "Provider failed unexpectedly",
        format!(
            "The provider panicked in its answer to {call}. This is a bug in the provider; its \
             log has the details, with TF_LOG_PROVIDER=ERROR. What was known of the object was \
             kept."
        ),
    )
}

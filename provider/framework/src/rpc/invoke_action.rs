//! `InvokeAction`: there are no actions yet, which is said in the only event.

use crate::proto::tfplugin6::invoke_action::Event;
use crate::proto::tfplugin6::invoke_action::event::{Completed, Type};
use crate::wire::to_wire;

/// The one event. The host takes a stream without a completion for a success.
pub(super) fn refuse() -> Event {
    Event {
        r#type: Some(Type::Completed(Completed {
            diagnostics: to_wire::diagnostics(&super::not_offered("actions").into()),
        })),
    }
}

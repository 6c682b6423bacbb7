//! `ListResource`: there is nothing to list yet, which is said in the only event.

use crate::proto::tfplugin6::list_resource::Event;
use crate::wire::to_wire;

/// The one event. An error ends the stream for the host.
pub(super) fn refuse() -> Event {
    Event {
        diagnostic: to_wire::diagnostics(&super::not_offered("to list objects").into()),
        ..Event::default()
    }
}

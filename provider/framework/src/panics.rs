//! What becomes of a panic: a diagnostic when a handler caused it, the host's crash report
//! otherwise.

use std::any::Any;
use std::backtrace::Backtrace;
use std::thread;

use crate::secrets;

/// Name of the thread on which handlers run. A panic there is caught and answered.
pub(crate) const HANDLER_THREAD: &str = "handlers";

/// From now on a panic is reported the way the host understands.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::force_capture();
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = message(panic.payload());
        if thread::current().name() == Some(HANDLER_THREAD) {
            tracing::error!(place, %backtrace, "a handler panicked: {message}");
        } else {
            // The host collects what follows this prefix, and shows it also when logging is off.
            let text = format!("panic: {message} at {place}\n\n{backtrace}");
            eprintln!("{}", secrets::mask(&text));
        }
    }));
}

/// What a panic said, without secrets.
fn message(payload: &(dyn Any + Send)) -> String {
    secrets::mask(text(payload)).into_owned()
}

fn text(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_its_message_without_secrets() {
        secrets::remember("panic-test-secret");
        let formatted: Box<dyn Any + Send> = Box::new("saw panic-test-secret".to_owned());
        assert_eq!(message(formatted.as_ref()), "saw ***");
        let literal: Box<dyn Any + Send> = Box::new("index out of bounds");
        assert_eq!(message(literal.as_ref()), "index out of bounds");
        assert_eq!(message(&7_u8), "no message");
    }
}

//! Whether something may have been left behind.

use std::sync::atomic::{AtomicBool, Ordering};

/// Marks as untidy when it is dropped, unless the work it stands for has succeeded.
struct Doubt<'a>(Option<&'a AtomicBool>);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(untidy) = self.0 {
            untidy.store(true, Ordering::Relaxed);
        }
    }
}

/// Does work that may leave something behind, and marks so when it fails or when nobody waits
/// for its end.
pub(super) async fn tidily<T, E>(
    untidy: &AtomicBool,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut doubt = Doubt(Some(untidy));
    let done = work.await;
    if done.is_ok() {
        doubt.0 = None;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::future::{pending, ready};

    #[test]
    fn only_what_succeeded_leaves_no_doubt() {
        let untidy = AtomicBool::new(false);
        let succeeded = tidily(&untidy, ready(Ok::<_, ()>(())));
        assert_eq!(succeeded.now_or_never(), Some(Ok(())));
        assert!(!untidy.swap(false, Ordering::Relaxed));
        let failed = tidily(&untidy, ready(Err::<(), _>(())));
        assert_eq!(failed.now_or_never(), Some(Err(())));
        assert!(untidy.swap(false, Ordering::Relaxed));
        // It is begun, and dropped before its end.
        let cut_off = tidily(&untidy, pending::<Result<(), ()>>());
        assert_eq!(cut_off.now_or_never(), None);
        assert!(untidy.swap(false, Ordering::Relaxed));
    }
}

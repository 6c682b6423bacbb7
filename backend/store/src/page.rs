//! Pages of rows.

/// Some rows, and whether others follow the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, at most as many as were asked for.
    pub rows: Vec<T>,
    /// Whether there are more; the next page is asked for with the last row's id.
    pub more: bool,
}

impl<T> Page<T> {
    /// Makes a page of rows that were asked for with one more than `limit`.
    pub(crate) fn cut(mut rows: Vec<T>, limit: u32) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Self { rows, more }
    }
}

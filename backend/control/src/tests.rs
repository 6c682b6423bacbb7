//! The loop as a whole, over a real store.

//! Whole stories, by level: what the tree promises, then one program alone, then the real
//! client against a real berthd.

mod examples;
mod tidy;

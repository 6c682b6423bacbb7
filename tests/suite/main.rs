//! Whole stories, by level: what the tree promises, then one program alone, then the real
//! client against a real berthd.

mod acceptance;
mod examples;
mod harness;
mod tidy;

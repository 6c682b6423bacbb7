//! The loop as a whole: a real store, the real renderer, a container engine in memory.

mod bench;
mod crashes;
mod images;
mod life;
mod page;
mod ports;
mod sleep;
mod taking;
mod trouble;
mod upkeep;

//! The program from outside: commands, dead letters, the admin listener.

mod admin;
mod connect;
mod fixture;
mod letters;
mod many_letters;
mod map;
mod newcomer;
mod offline;
pub(crate) mod program;
mod running;
mod store;

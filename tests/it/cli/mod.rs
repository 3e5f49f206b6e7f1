//! The program from outside: commands, dead letters, the admin listener.

mod admin;
mod fixture;
mod letters;
mod offline;
mod program;
mod running;
mod store;

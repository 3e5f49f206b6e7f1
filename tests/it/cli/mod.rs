//! The program from outside: commands, dead letters, the admin listener.

mod admin;
mod letters;
mod program;
mod running;
mod store;

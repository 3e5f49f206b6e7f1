//! The program from outside: commands, dead letters, the admin listener.

mod letters;
mod store;

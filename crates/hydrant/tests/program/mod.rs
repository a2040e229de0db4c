//! The program as its users have it: the binary, its arguments, its output, its exit codes.

mod demo;
mod doctor;
mod help;
mod key_file;
mod node;
mod put;
pub(crate) mod running;
mod security;
mod serve;

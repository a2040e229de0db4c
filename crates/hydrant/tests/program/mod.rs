//! The program as its users have it: the binary, its arguments, its output, its exit codes.

mod demo;
mod help;
mod node;
mod put;
mod running;
mod serve;

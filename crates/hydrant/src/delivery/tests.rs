//! Worker and supervisor over the reference engine, a clock that stands still and a scripted destination.

mod crashing;
mod cutting;
mod damaged;
mod failing;
mod life;
mod loading;
mod looking;
mod patience;
mod rig;
mod table;

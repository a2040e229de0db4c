//! What is fuzzed: one function for each target of `fuzz/`, which says what must hold whatever the bytes are.
//!
//! Compiled for the fuzzers (`--cfg fuzzing`), and for the test below, which runs every seed; no program has it.
//! The functions panic when something does not hold.

mod config;
mod http_request;
mod keys;
mod node;
mod operation;
mod policy;
mod put_body;
mod sigv4;

pub use self::{
    config::config, http_request::http_request, keys::keys, operation::operation, policy::policy,
    put_body::put_body, sigv4::sigv4,
};

/// The longest input of those that a node answers: longer bodies are read on threads, whose turns are nobody's to choose.
const LONGEST: usize = 32 << 10;

/// Runs to its end what needs no thread but this one.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn seeds_hold() {
        let targets: [Target; 7] = [
            ("config", config),
            ("http_request", http_request),
            ("keys", keys),
            ("operation", operation),
            ("policy", policy),
            ("put_body", put_body),
            ("sigv4", sigv4),
        ];
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (target, hold) in targets {
            let mut seeds = 0;
            for entry in root.join(target).read_dir().unwrap() {
                let path = entry.unwrap().path();
                println!("{}", path.display());
                hold(&std::fs::read(path).unwrap());
                seeds += 1;
            }
            assert!(seeds > 2, "{target}");
        }
    }
}

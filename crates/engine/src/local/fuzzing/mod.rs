//! What is fuzzed of the engine, one function for each target of `fuzz/`: it says what must hold whatever the bytes are, and
//! panics when it does not. Compiled for the fuzzers (`--cfg fuzzing`) and for the test below; no program has it.

mod frame;
mod memory;
mod segment;

pub use self::{frame::frame, segment::segment};

#[cfg(test)]
mod tests {
    use super::*;

    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn seeds_hold() {
        let targets: [Target; 2] = [("frame", frame), ("segment", segment)];
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (target, hold) in targets {
            let mut seeds = 0;
            for entry in root.join(target).read_dir().unwrap() {
                let path = entry.unwrap().path();
                println!("{}", path.display());
                hold(&std::fs::read(path).unwrap());
                seeds += 1;
            }
            assert!(seeds > 5, "{target}");
        }
    }
}

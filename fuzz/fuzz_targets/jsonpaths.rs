//! JSONPaths files: whatever is read can be written in bracket notation and means the same.
#![no_main]

use hydrant_copy::jsonpaths::{JsonPaths, Path, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let paths = match JsonPaths::parse(bytes) {
        Ok(JsonPaths::Paths(paths)) => paths,
        Ok(JsonPaths::Auto) => return,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            // Most bytes are no file; as a path they get further.
            let path = std::str::from_utf8(bytes).ok().map(Path::parse);
            path.and_then(Result::ok).into_iter().collect()
        }
    };
    for path in paths {
        assert!(!path.steps.is_empty());
        let step = |step: &Step| match step {
            Step::Key(name) => format!("['{}']", name.replace('\\', r"\\").replace('\'', r"\'")),
            Step::Index(index) => format!("[{index}]"),
        };
        let written = format!("${}", path.steps.iter().map(step).collect::<String>());
        assert_eq!(Path::parse(&written), Ok(path), "{written}");
    }
});

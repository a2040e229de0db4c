//! COPY options: an error is within the text, and what was read, printed, is read again as the same.
#![no_main]

use hydrant_copy::{ColumnList, CopyOptions, TableName, options, table};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match CopyOptions::parse(text) {
        Ok(read) => {
            let printed = read.to_string();
            assert_eq!(
                CopyOptions::parse(&printed).as_ref(),
                Ok(&read),
                "{printed}"
            );
            if !text.contains(r"\'") {
                assert_eq!(options::check_pasted(text), Ok(()));
            }
        }
        Err(error) => assert!(text.is_char_boundary(error.position), "{error:?}"),
    }
    if let Err(error) = options::check_pasted(text) {
        assert!(text.is_char_boundary(error.position), "{error:?}");
    }
    if let Ok(name) = TableName::parse(text) {
        let sql = name.to_sql();
        assert_eq!(table::check_pasted(&sql), Ok(()), "{sql}");
        assert_eq!(TableName::parse(&sql), Ok(name), "{sql}");
    }
    if let Ok(columns) = ColumnList::parse(text) {
        let sql = columns.to_sql();
        assert_eq!(table::check_pasted(&sql), Ok(()), "{sql}");
        assert_eq!(ColumnList::parse(&sql), Ok(columns), "{sql}");
    }
    let _ = table::check_pasted(text);
});

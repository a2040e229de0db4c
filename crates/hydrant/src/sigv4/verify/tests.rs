use super::*;

#[test]
fn times() {
    let time = read_time("20150830T123600Z").unwrap();
    assert_eq!(time, Timestamp(1_440_938_160_000));
    assert_eq!(read_time("Sun, 30 Aug 2015 12:36:00 GMT"), Some(time));
    assert_eq!(basic(time), "20150830T123600Z");
    for wrong in [
        "",
        "20150830",
        "20151330T123600Z",
        "20150830T123600",
        "19600101T000000Z",
    ] {
        assert_eq!(read_time(wrong), None, "{wrong}");
    }
}

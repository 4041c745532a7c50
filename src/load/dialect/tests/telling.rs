//! nchan and the floor, whose deliveries are payloads alone.

use super::floor::Word;
use super::*;

#[test]
fn nchan_has_a_path_for_each_side() {
    let line = |path, who| handshake(Spoken::Nchan, path, who, None).0;
    assert_eq!(line("/", &SUBSCRIBER), "GET /sub/a.b HTTP/1.1");
    assert_eq!(line("/n/", &PUBLISHER), "GET /n/pub/a.b HTTP/1.1");
    assert_eq!(line("/n?a=1", &WITH_TOKEN), "GET /n/sub/a.b?a=1&token=x.y%2Bz HTTP/1.1");
    let odd = Who { topic: "a/ö ?", ..SUBSCRIBER };
    assert_eq!(line("", &odd), "GET /sub/a%2F%C3%B6%20%3F HTTP/1.1");
}

#[test]
fn nchan_needs_no_words() {
    let dialect = dialect(Spoken::Nchan);
    assert_eq!(said(|say| assert!(dialect.opened(&SUBSCRIBER, say))), []);
    assert_eq!(said(|say| assert!(!dialect.subscribe("a.b", 0, say))), []);
    assert_eq!(said(|say| dialect.publish("a.b", b"~xyz", say)), text("~xyz"));
    hears(Spoken::Nchan, STAMPED, "Delivery");
    hears(Spoken::Nchan, "queued messages: 1\r\nlast requested: 0 sec. ago", "Other");
    let (heard, ..) = hear(Spoken::Nchan, &PUBLISHER, STAMPED.as_bytes());
    assert_eq!(heard, ["Other"]);
}

#[test]
fn the_floor_is_told_how_long_its_frames_are() {
    let dialect = of(&target(Spoken::Floor, "/?bytes=230"));
    assert_eq!(said(|say| assert!(dialect.opened(&SUBSCRIBER, say))), []);
    assert_eq!(said(|say| assert!(dialect.subscribe("a.*", 0, say))), text("sa.*"));
    assert_eq!(said(|say| dialect.publish("a:b", b"~:xyz", say)), text("p230\na:b\n~:xyz"));
    hears(Spoken::Floor, "s", "Subscribed");
    hears(Spoken::Floor, STAMPED, "Delivery");
    hears(Spoken::Floor, "x", "Other");
    let dialect = of(&target(Spoken::Floor, "/"));
    assert_eq!(said(|say| dialect.publish("a", b"~", say)), text("p0\na\n~"));
}

#[test]
fn the_floor_reads_its_words() {
    assert_eq!(Word::parse(b"sa.*"), Some(Word::Subscribe("a.*")));
    let publish = Word::Publish { frame_bytes: 230, topic: "a:b", payload: b"x\ny" };
    assert_eq!(Word::parse(b"p230\na:b\nx\ny"), Some(publish));
    for bad in [&b""[..], b"x", b"ua", b"p", b"p1", b"p1\na", b"px\na\nb", b"s\xFF"] {
        assert_eq!(Word::parse(bad), None);
    }
}

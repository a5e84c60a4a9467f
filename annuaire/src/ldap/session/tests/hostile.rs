//! Octets that nobody should send: bounded, and answered.

use super::*;

/// What waits is bounded in octets as in number, and what is whole and waits for room is not a message that takes long.
#[test]
fn what_waits_is_bounded_in_octets() {
    let mut session = session();
    let value = "x".repeat(1000);
    let filter = format!("(|{})", format!("(cn={value})").repeat(40));
    let long = search_octets(1, BASE, 2, &encode(&filter), &[]);
    assert!(long.len() > 40_000 && long.len() < MAX_MESSAGE);
    let mut given = 0;
    while session.wants_input() {
        session.receive(&long);
        given += 1;
    }
    assert!(given <= 4, "{given}");
    session.receive(&long[..100]);
    assert!(!session.is_inside_message());
    assert_eq!(session.messages(), given);
    let mut short = self::session();
    short.receive(&long[..100]);
    assert!(short.is_inside_message() && short.messages() == 0);
}

/// LD10: nested ten thousand deep is an answer, a lie about a length the end; neither recurses nor waits for more.
#[test]
fn hostile_octets_end_in_an_answer() {
    let mut filter = encode("(cn=a)");
    for _ in 0..10_000 {
        let mut out = Writer::new();
        out.put(0xa2, &filter);
        filter = out.into_octets();
    }
    assert!(filter.len() < MAX_MESSAGE);
    let mut deep = session();
    let found = exchange(&mut deep, &search_octets(9, BASE, 2, &filter, &[]));
    assert_eq!((found[0].id, found[0].code()), (9, Code::AdminLimitExceeded as u32));
    assert_eq!(deep.closed(), None);
    for lie in [
        &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..],
        &[0x30, 0x80],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x30, 5, 2, 1, 1, 0x63, 0x7f],
        &[0x16, 3, 1, 2, 0],
    ] {
        let mut session = session();
        let told = exchange(&mut session, lie);
        assert_eq!(session.closed(), Some(Closed::Protocol), "{lie:?}");
        assert_eq!((told.len(), told[0].id, told[0].code()), (1, 0, Code::ProtocolError as u32));
        assert!(exchange(&mut session, lie).is_empty(), "nothing is heard any more");
    }
    // More questions than wait are not read yet.
    let mut many = session();
    let one = search_octets(1, BASE, 2, &encode("(sn=*epinaie*)"), &["mail"]);
    many.receive(&one.repeat(100));
    assert!(!many.wants_input());
    assert_eq!(exchange(&mut many, b"").len(), 400);
}

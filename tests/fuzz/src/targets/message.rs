//! Messages: lines, header, addresses, words, MIME, reports (RFC 5322, 2045, 2047, 2231, 3464), whole and as they go by.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use ident::{Domain, Timestamp};
use mail::{HeaderBlock, Limits, clean, mailboxes, media::TransferEncoding, mime, report, source::Source, words};

use crate::{Target, samples};

/// The target.
pub const TARGET: Target = Target {
    name: "message",
    covers: &[
        "gateway/mail/src/clean.rs",
        "gateway/mail/src/header.rs",
        "gateway/mail/src/lexer.rs",
        "gateway/mail/src/lines.rs",
        "gateway/mail/src/mailboxes.rs",
        "gateway/mail/src/media.rs",
        "gateway/mail/src/mime.rs",
        "gateway/mail/src/read.rs",
        "gateway/mail/src/report.rs",
        "gateway/mail/src/words.rs",
    ],
    run,
    seeds: samples::message::all,
};

/// Mailboxes in one field.
pub const MAILBOXES: usize = 8;
/// `Received` fields.
pub const HOPS: usize = 3;

/// Small, so that small inputs meet them.
pub const LIMITS: Limits = Limits {
    message: 12 << 10,
    header: 4 << 10,
    fields: 40,
    line: 998,
    mailboxes: MAILBOXES,
    parts: 20,
    depth: 6,
    layers: 5,
    hops: HOPS,
};

/// Us.
pub const US: &str = "gw.ch-autre.test";

/// A message that comes in small pieces.
struct Pieces<'d>(&'d [u8]);

struct PiecesReader<'d>(&'d [u8]);

impl Source for Pieces<'_> {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(Box::new(PiecesReader(self.0.get(from..).unwrap_or_default())))
    }
}

impl Read for PiecesReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(11);
        self.0.read(buffer.get_mut(..room).unwrap_or_default())
    }
}

fn run(data: &[u8]) -> bool {
    let lines = mail::check_lines(data, &LIMITS);
    let survey = mime::survey(data, &LIMITS);
    let facts = mail::read(data, &LIMITS);
    // Which of two faults in one line is seen first depends on where the pieces are cut.
    assert_eq!(mail::read_source(&Pieces(data), &LIMITS).ok().as_ref(), facts.as_ref().ok(), "whole and in pieces");
    assert!(lines.is_ok() || facts.is_err(), "a message has good lines");
    if let Ok(block) = HeaderBlock::parse(data, &LIMITS) {
        header(&block);
    }
    let _ = report::read_report(data, &LIMITS);
    let Ok(facts) = facts else { return false };
    let body = data.get(facts.body_offset..).unwrap_or_default();
    if let Ok(boundary) = facts.content.boundary() {
        let _ = mime::parts(body, boundary, LIMITS.parts);
    }
    if let Ok(decoded) = mime::decode(body, facts.transfer_encoding) {
        let mut again = Vec::new();
        mime::write_base64(&mut again, &decoded);
        assert_eq!(mime::decode(&again, TransferEncoding::Base64), Ok(decoded), "what we encode we decode");
    }
    let _ = (facts.passed_through(US), report::check_null_sender(&facts, 1, |_: &Domain| true));
    leaves(data);
    // Read to the end, with a tree below and a name that no seed has.
    survey.is_ok_and(|survey| survey.parts > 1) && facts.from_name.contains('!')
}

/// Every value, as each of the things that a header value may be.
fn header(block: &HeaderBlock<'_>) {
    for field in block.fields() {
        let value = field.value();
        let text = words::decode(&value);
        let written = words::text_field("X", &text);
        let limits = Limits { header: 1 << 20, ..LIMITS };
        let again = HeaderBlock::parse(written.as_bytes(), &limits).expect("what we write is a header");
        let [one] = again.fields() else { panic!("one field was written") };
        let shown: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let blanks = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        assert_eq!(blanks(&words::decode(&one.value())), blanks(&shown), "what we write is what is read");
        if let Ok(all) = mailboxes::parse_list("To", &value, &LIMITS) {
            assert!(all.len() <= MAILBOXES);
            let printed: Vec<String> = all.iter().map(|mailbox| format!("<{}>", mailbox.address)).collect();
            let again = mailboxes::parse_list("To", &printed.join(", "), &LIMITS).expect("what we print is an address");
            assert!(all.iter().zip(&again).all(|(one, other)| one.address == other.address), "and the same one");
        }
        let _ = mail::media::MediaType::parse(&value);
    }
}

/// What leaves bears nothing that only we may say.
fn leaves(data: &[u8]) {
    let limits = Limits { header: 1 << 20, fields: 1000, ..LIMITS };
    let Ok(sent) = clean::for_sending(data, US, &limits) else { return };
    assert!(matches!(clean::for_sending(&sent, US, &limits), Ok(Cow::Borrowed(_))), "nothing is left to take out");
    let bare = clean::without_results(data, &limits).expect("a header that was read");
    assert!(matches!(clean::without_results(&bare, &limits), Ok(Cow::Borrowed(_))), "no result is left at all");
    let domain = Domain::parse("ch-exemple.test").expect("a domain");
    let completed = |message: &[u8]| clean::missing_fields(&Pieces(message), Timestamp::EPOCH, "1", &domain, &limits);
    let missing = completed(data).expect("a header that was read");
    assert_eq!(completed(&[missing.as_bytes(), data].concat()).as_deref(), Ok(""), "nothing is missing any more");
}

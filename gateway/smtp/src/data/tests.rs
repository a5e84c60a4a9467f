//! The smuggling matrix, against an oracle that looks at the whole text at once.

use proptest::prelude::*;

use super::*;

/// The sequences of SM1: C = CR, L = LF, 0 = NUL.
const SM1: [&str; 12] =
    ["L.L", "C.C", "C.L", "L.C", "L.CL", "CL.L", "C.CL", "CL.C", "CL0.CL", "CL.0CL", "CL.CCL", "CCL.CCL"];

pub(crate) fn sm1() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    SM1.into_iter().map(|name| {
        let octets = name.bytes().map(|b| match b {
            b'C' => b'\r',
            b'L' => b'\n',
            b'0' => 0,
            other => other,
        });
        (name, octets.collect())
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The message, and how many octets it and its end took.
    Finished(Vec<u8>, usize),
    Fault,
    Unfinished,
}

fn read_in(pieces: &[&[u8]]) -> Verdict {
    let (mut reader, mut out, mut taken) = (DataReader::new(u64::MAX, usize::MAX), Vec::new(), 0);
    for piece in pieces {
        match reader.read(piece, &mut out) {
            Err(_) => return Verdict::Fault,
            Ok(progress) => {
                taken += progress.taken;
                if progress.finished {
                    assert_eq!(reader.size(), out.len() as u64);
                    return Verdict::Finished(out, taken);
                }
                assert_eq!(progress.taken, piece.len());
            }
        }
    }
    Verdict::Unfinished
}

/// RFC 5321 §4.1.1.4 and §4.5.2, said once more in another way.
fn oracle(input: &[u8]) -> Verdict {
    let fault = (0..input.len()).find(|&i| match input[i] {
        0 => true,
        b'\n' => i == 0 || input[i - 1] != b'\r',
        b'\r' => input.get(i + 1).is_some_and(|next| *next != b'\n'),
        _ => false,
    });
    let with_line_start = [b"\r\n", input].concat();
    let end = with_line_start.windows(5).position(|window| window == b"\r\n.\r\n");
    match (fault, end) {
        (Some(fault), Some(end)) if fault < end => Verdict::Fault,
        (Some(_), None) => Verdict::Fault,
        (None, None) => Verdict::Unfinished,
        (_, Some(end)) => {
            let text = String::from_utf8_lossy(&input[..end]).into_owned();
            let lines = text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
            Verdict::Finished(lines.collect::<String>().into_bytes(), end + 3)
        }
    }
}

/// SM1 × SM3: every sequence, at every kind of place, in place of the end and inside, cut at every
/// two octets: never the end, always refused.
#[test]
fn sm1_sm3_matrix() {
    let before: [&[u8]; 6] = [b"", b"a", b"Subject: x", b"Subject: x\r\n", b"Subject: x\r\n\r\nbody", b"..a\r\n.."];
    let after: [&[u8]; 4] = [b"", b"x\r\n.\r\n", b"\r\n.\r\nMAIL FROM:<evil@x.test>\r\n", b"MAIL FROM:<>\r\n.\r\n"];
    let mut cases = 0;
    for (name, sequence) in sm1() {
        for before in before {
            for after in after {
                // A CR at the very end is not wrong yet: one more octet shows it.
                let input = [before, &sequence, after, b"x"].concat();
                for first in 0..=input.len() {
                    for second in first..=input.len() {
                        let pieces = [&input[..first], &input[first..second], &input[second..]];
                        assert_eq!(read_in(&pieces), Verdict::Fault, "{name} after {before:?}, {first}, {second}");
                        cases += 1;
                    }
                }
            }
        }
    }
    assert!(cases > 100_000, "{cases}");
}

/// All texts of up to seven octets over the five that matter, whole and octet by octet.
#[test]
fn sm2_every_short_text() {
    const ALPHABET: [u8; 5] = [b'\r', b'\n', b'.', 0, b'a'];
    for length in 0..=7u32 {
        for number in 0..5usize.pow(length) {
            let input: Vec<u8> = (0..length).map(|i| ALPHABET[number / 5usize.pow(i) % 5]).collect();
            let expected = oracle(&input);
            assert_eq!(read_in(&[&input]), expected, "{input:?}");
            let octets: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(read_in(&octets), expected, "{input:?}, octet by octet");
        }
    }
}

#[test]
fn sm7_ends_and_dots() {
    assert_eq!(read_in(&[b".\r\n"]), Verdict::Finished(vec![], 3));
    assert_eq!(read_in(&[b"..\r\n.\r\n"]), Verdict::Finished(b".\r\n".to_vec(), 7));
    assert_eq!(read_in(&[b".a\r\n..b\r\n.\r\nNOOP"]), Verdict::Finished(b"a\r\n.b\r\n".to_vec(), 12));
    assert_eq!(read_in(&[b"a\r\n\r\n.\r\n"]), Verdict::Finished(b"a\r\n\r\n".to_vec(), 8));
}

/// SM3: an over-size message is read to its true end, whatever it looks like beyond the limit.
#[test]
fn sm3_over_size_is_read_to_the_end() {
    let (mut reader, mut out) = (DataReader::new(4, 100), Vec::new());
    let progress = reader.read(b"ab\r\n.\r\nrest", &mut out).unwrap();
    assert_eq!((progress, reader.is_oversize()), (Progress { taken: 7, finished: true }, false));
    let (mut reader, mut out) = (DataReader::new(4, 100), Vec::new());
    let progress = reader.read(b"abc\r\n..x.\r\n.\r\nrest", &mut out).unwrap();
    assert_eq!((progress, reader.is_oversize()), (Progress { taken: 14, finished: true }, true));
    assert!(out.len() <= 4);
    let (mut reader, mut out) = (DataReader::new(4, 100), Vec::new());
    assert_eq!(reader.read(b"abcdefgh\n.\r\n", &mut out), Err(BodyFault::BareLf));
}

#[test]
fn faults_are_named() {
    let cases: [(&[u8], BodyFault); 6] = [
        (b"a\rb", BodyFault::BareCr),
        (b".\rb", BodyFault::BareCr),
        (b"a\nb", BodyFault::BareLf),
        (b".\nb", BodyFault::BareLf),
        (b"\0", BodyFault::Nul),
        (b"a\r\nabcdefghi\r\n", BodyFault::LineTooLong),
    ];
    for (input, fault) in cases {
        assert_eq!(DataReader::new(100, 8).read(input, &mut Vec::new()), Err(fault), "{input:?}");
    }
    assert!(DataReader::new(100, 8).read(b".abcdefgh\r\n..bcdefgh\r\n", &mut Vec::new()).is_ok(), "dots do not count");
}

/// SM4: what the reader refuses, the writer does not send.
#[test]
fn sm4_writer_refuses_stray_bytes() {
    for (name, sequence) in sm1() {
        for before in [b"".as_slice(), b"a", b"a\r\n"] {
            let input = [before, &sequence, b"x\r\n"].concat();
            for cut in 0..=input.len() {
                let (mut writer, mut out) = (DataWriter::new(), Vec::new());
                let whole = writer.write(&input[..cut], &mut out).and_then(|()| writer.write(&input[cut..], &mut out));
                assert!(whole.is_err(), "{name} after {before:?}, cut at {cut}");
                assert!(!out.windows(3).any(|w| w == b".\r\n" && out.starts_with(b".\r\n")), "{name}");
            }
        }
    }
    for unterminated in [b"a".as_slice(), b"a\r", b"a\r\nb", b"."] {
        let (mut writer, mut out) = (DataWriter::new(), Vec::new());
        writer.write(unterminated, &mut out).unwrap();
        assert_eq!(writer.finish(&mut out), Err(BodyFault::Unterminated), "{unterminated:?}");
    }
}

proptest! {
    #[test]
    fn reader_agrees_with_the_oracle(
        input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), any::<u8>()], 0..60),
        cut in 0usize..60,
    ) {
        let cut = cut.min(input.len());
        // The oracle speaks text.
        let input: Vec<u8> = input.iter().map(|b| b & 0x7f).collect();
        prop_assert_eq!(read_in(&[&input[..cut], &input[cut..]]), oracle(&input));
    }

    #[test]
    fn what_is_written_is_read(text in "(\\.{0,3}|a|b c|é|\r\n){0,40}", cut in 0usize..80) {
        let body = format!("{text}\r\n").into_bytes();
        let cut = cut.min(body.len());
        let (mut writer, mut out) = (DataWriter::new(), Vec::new());
        writer.write(&body[..cut], &mut out).unwrap();
        writer.write(&body[cut..], &mut out).unwrap();
        writer.finish(&mut out).unwrap();
        prop_assert!(out.len() <= body.len() * 4 / 3 + 3 + 1);
        out.extend_from_slice(b"NOOP\r\n");
        let end = out.len() - 6;
        prop_assert_eq!(read_in(&[&out]), Verdict::Finished(body, end));
    }
}

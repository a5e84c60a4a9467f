//! MIME structure: cutting a signed multipart in two, decoding base64, and one pass over a whole
//! tree that finds signatures where they must not count (A12).

use std::{borrow::Cow, ops::Range};

use crate::{
    HeaderBlock, Limits, MailFault,
    coding::{Decoder, Encoder},
    lines::Fragments,
    media::{MediaType, TransferEncoding},
    source::disk,
};

/// Base64 in lines of 76 columns with CRLF, appended to `out`.
pub fn write_base64(out: &mut Vec<u8>, data: &[u8]) {
    let mut encoder = Encoder::default();
    encoder.update(data, out);
    encoder.finish(out);
}

/// The octets of a part without its transfer encoding.
///
/// # Errors
/// [`MailFault::Mime`] for broken base64, and for quoted-printable, which no container uses.
pub fn decode(body: &[u8], encoding: TransferEncoding) -> Result<Cow<'_, [u8]>, MailFault> {
    match encoding {
        TransferEncoding::Identity => Ok(Cow::Borrowed(body)),
        TransferEncoding::Base64 => {
            let (mut decoder, mut out) = (Decoder::new(), Vec::with_capacity(body.len()));
            decoder.update(body, &mut out)?;
            decoder.finish(&mut out)?;
            Ok(Cow::Owned(out))
        }
        TransferEncoding::QuotedPrintable => Err(MailFault::Mime("Content-Transfer-Encoding")),
    }
}

/// The parts of a multipart body, each without the CRLF that belongs to the delimiter
/// (RFC 2046 §5.1.1). Preamble and epilogue are left out.
///
/// # Errors
/// More than `limit` parts, or no closing delimiter.
pub fn parts<'a>(body: &'a [u8], boundary: &str, limit: usize) -> Result<Vec<&'a [u8]>, MailFault> {
    let place = |octets: u64| usize::try_from(octets).unwrap_or(usize::MAX);
    let found = places(Fragments::over(body), boundary, limit)?;
    Ok(found.into_iter().map(|part| body.get(place(part.start)..place(part.end)).unwrap_or_default()).collect())
}

/// Where the parts of a multipart body lie in its stream, which is read to its end.
///
/// RFC 2046 §5.1.1 lets readers take a line for a delimiter that only *begins* with it, and some do: such a line
/// is refused wherever it stands, and so is any delimiter behind the last (A12).
pub(crate) fn places(mut lines: Fragments<'_>, boundary: &str, limit: usize) -> Result<Vec<Range<u64>>, MailFault> {
    let mut found = Vec::new();
    let mut start: Option<u64> = None;
    let mut closed = false;
    let mut crlf_before = false;
    while let Some(line) = lines.next().map_err(|error| disk(&error))? {
        let delimiter = if line.begins { Delimiter::of(line.text, boundary) } else { None };
        if let Some(delimiter) = delimiter {
            if closed || !line.ends || delimiter == Delimiter::Doubtful {
                return Err(MailFault::Mime("boundary"));
            }
            if let Some(from) = start {
                let end = if crlf_before { line.at.saturating_sub(2) } else { line.at };
                found.push(from..end.max(from));
                if found.len() > limit {
                    return Err(MailFault::TooManyParts);
                }
            }
            closed = delimiter == Delimiter::Last;
            start = Some(line.at.saturating_add(u64::try_from(line.text.len()).unwrap_or(u64::MAX)));
        }
        crlf_before = line.text.ends_with(b"\r\n");
    }
    if closed { Ok(found) } else { Err(MailFault::Mime("boundary")) }
}

/// What a line that begins with `--boundary` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    /// `--boundary`; blanks and tabs behind it are padding.
    Next,
    /// `--boundary--`
    Last,
    /// Something else follows: a delimiter to some readers, text to others.
    Doubtful,
}

impl Delimiter {
    fn of(line: &[u8], boundary: &str) -> Option<Self> {
        let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
        let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
        let mut rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        while let Some(padded) = rest.strip_suffix(b" ").or_else(|| rest.strip_suffix(b"\t")) {
            rest = padded;
        }
        Some(match rest {
            b"" => Self::Next,
            b"--" => Self::Last,
            _ => Self::Doubtful,
        })
    }
}

/// What one pass over a MIME tree found below its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Survey {
    /// A signature or container that is a part of the message but not its root (A12).
    pub inner_signature: bool,
    /// The same inside an attached message, where it is that message's own affair.
    pub attached_signature: bool,
    /// Parts that were seen.
    pub parts: usize,
}

/// Looks at every part of a MIME entity in one pass, whatever its size.
///
/// # Errors
/// Too many parts or levels (IN16), a malformed part header, a second `Content-Type` in a part.
pub fn survey(entity: &[u8], limits: &Limits) -> Result<Survey, MailFault> {
    survey_lines(Fragments::over(entity), limits)
}

/// As [`survey`], of lines from wherever they are.
pub(crate) fn survey_lines(mut lines: Fragments<'_>, limits: &Limits) -> Result<Survey, MailFault> {
    let mut walk = Walk { limits, stack: Vec::new(), doubtful: false, seen: Survey::default() };
    let mut header = Some(Vec::new());
    let mut root = true;
    loop {
        if header.is_none() && !walk.doubtful {
            lines.pass_to_dashes();
        }
        let Some(line) = lines.next().map_err(|error| disk(&error))? else { break };
        match &mut header {
            Some(octets) => {
                if octets.len().saturating_add(line.text.len()) > limits.header {
                    return Err(MailFault::Mime("part header"));
                }
                octets.extend_from_slice(line.text);
                if octets.ends_with(b"\r\n\r\n") || octets.as_slice() == b"\r\n" {
                    let another = walk.header(octets, std::mem::replace(&mut root, false))?;
                    header = another.then(Vec::new);
                }
            }
            None if line.begins && line.ends && walk.boundary(line.text)? => header = Some(Vec::new()),
            None => walk.body(line.text)?,
        }
    }
    if let Some(octets) = header {
        walk.header(&octets, root)?;
    }
    Ok(walk.seen)
}

fn is_structural(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["multipart", "message/", "pkcs7", "p7m", "p7s", "\r\n--"].iter().any(|word| text.contains(word))
}

/// A part's type. Much software writes file names that break the grammar: such a part counts as a
/// plain file, unless anything about it could be taken for structure or for a signature.
fn lenient(block: &HeaderBlock<'_>) -> Result<MediaType, MailFault> {
    let Some(field) = block.one("Content-Type")? else { return Ok(MediaType::plain()) };
    let value = field.value();
    MediaType::parse(&value).or_else(|fault| if is_structural(&value) { Err(fault) } else { Ok(MediaType::plain()) })
}

struct Walk<'l> {
    limits: &'l Limits,
    /// Open levels: a boundary, or `None` for an attached message.
    stack: Vec<Option<String>>,
    /// To a reader who takes the beginning of a line for a delimiter, these lines are another part.
    doubtful: bool,
    seen: Survey,
}

impl Walk<'_> {
    /// Reads a part's header. Whether another one follows at once: that of a message in the part.
    fn header(&mut self, octets: &[u8], root: bool) -> Result<bool, MailFault> {
        self.seen.parts = self.seen.parts.saturating_add(1);
        if self.seen.parts > self.limits.parts || self.stack.len() > self.limits.depth {
            return Err(MailFault::TooManyParts);
        }
        let Ok(block) = HeaderBlock::parse(octets, self.limits) else {
            // Much software breaks the grammar (8-bit file names without encoding): such a header is passed
            // over, unless something in it could be taken for structure or a signature.
            let structural = is_structural(&String::from_utf8_lossy(octets));
            return if structural { Err(MailFault::Mime("part header")) } else { Ok(false) };
        };
        block.check_part_singletons()?;
        let media = lenient(&block)?;
        self.note(&media, &block, root)?;
        if media.is_multipart() {
            self.stack.push(Some(media.boundary()?.to_owned()));
        }
        let message = media.essence == "message/rfc822" || media.essence == "message/global";
        if message {
            self.stack.push(None);
        }
        Ok(message)
    }

    fn note(&mut self, media: &MediaType, block: &HeaderBlock<'_>, root: bool) -> Result<(), MailFault> {
        let name = crate::media::file_name(block)?;
        let crypto =
            media.essence == "multipart/signed" || media.is_pkcs7_mime(name.as_deref()) || media.is_pkcs7_signature();
        if crypto && !root {
            if self.stack.iter().any(Option::is_none) {
                self.seen.attached_signature = true;
            } else {
                self.seen.inner_signature = true;
            }
        }
        Ok(())
    }

    /// Whether a part's header follows the line: a delimiter of an open level; inner levels end with it.
    ///
    /// The exact line counts. A line that merely begins with an outer boundary is one to some readers: what they
    /// would take for structure behind it is refused by [`Self::body`].
    fn boundary(&mut self, line: &[u8]) -> Result<bool, MailFault> {
        if !line.starts_with(b"--") {
            self.body(line)?;
            return Ok(false);
        }
        let (mut exact, mut doubtful) = (None, None);
        for (level, open) in self.stack.iter().enumerate().rev() {
            match open.as_deref().and_then(|boundary| Delimiter::of(line, boundary)) {
                Some(Delimiter::Doubtful) => doubtful = Some(level),
                Some(delimiter) => exact = exact.or(Some((level, delimiter == Delimiter::Last))),
                None => {}
            }
        }
        if let Some(outer) = doubtful {
            let inner = exact.map_or(self.stack.len(), |(level, _)| level);
            let between = self.stack.get(outer..inner).unwrap_or_default();
            // An attached message to one reader, a part of the message to another.
            if between.iter().any(Option::is_none) {
                return Err(MailFault::Mime("boundary"));
            }
        }
        self.doubtful = match exact {
            Some((_, closing)) => doubtful.is_some() && closing,
            None => self.doubtful || doubtful.is_some(),
        };
        let Some((level, closing)) = exact else { return Ok(false) };
        self.stack.truncate(if closing { level } else { level.saturating_add(1) });
        Ok(!closing)
    }

    /// A line of a part's body.
    fn body(&self, line: &[u8]) -> Result<(), MailFault> {
        let structural = self.doubtful && is_structural(&String::from_utf8_lossy(line));
        if structural { Err(MailFault::Mime("boundary")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_parts_at_the_octet() {
        let body = b"preamble\r\n--b\r\nA: 1\r\n\r\none\r\n\r\n--b  \r\n\r\ntwo\r\n-b\r\n--b--\r\nepilogue\r\n";
        let found = parts(body, "b", 10).unwrap();
        assert_eq!(found, [&b"A: 1\r\n\r\none\r\n"[..], b"\r\ntwo\r\n-b"]);
        assert_eq!(parts(body, "b", 1), Err(MailFault::TooManyParts));
        assert_eq!(parts(b"--b\r\nopen\r\n", "b", 9), Err(MailFault::Mime("boundary")));
        for doubtful in ["--bb\r\n", "--b-\r\n", "--b\x0c\r\n", "--b\r\n", "--b--\r\n"] {
            let text = format!("--b\r\n\r\none\r\n--b--\r\n{doubtful}");
            assert_eq!(parts(text.as_bytes(), "b", 9), Err(MailFault::Mime("boundary")), "{doubtful}");
        }
        let long = [&b"--b\r\n\r\n--b"[..], &[b' '; 70_000], b"\r\n--b--"].concat();
        assert_eq!(parts(&long, "b", 9), Err(MailFault::Mime("boundary")));
        assert_eq!(parts(b"--b\r\n\r\none\r\n--b--", "b", 9).unwrap(), [&b"\r\none"[..]]);
    }

    #[test]
    fn base64_has_76_columns() {
        let mut out = Vec::new();
        write_base64(&mut out, &[7u8; 58]);
        let text = String::from_utf8(out.clone()).unwrap();
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!((lines[0].len(), lines[1].len(), lines[2]), (76, 4, ""));
        assert_eq!(decode(&out, TransferEncoding::Base64).unwrap(), &[7u8; 58][..]);
        assert!(decode(b"AA=A", TransferEncoding::Base64).is_err());
        assert!(decode(b"AA!A", TransferEncoding::Base64).is_err());
    }

    fn look(text: &str) -> Result<Survey, MailFault> {
        survey(text.replace('\n', "\r\n").as_bytes(), &Limits::default())
    }

    #[test]
    fn finds_signatures_that_do_not_cover_the_root() {
        let signed = "Content-Type: multipart/signed; boundary=s\n\n--s\n\ntext\n--s\nContent-Type: application/pkcs7-signature\n\nAA==\n--s--\n";
        assert!(!look("From: a@x.test\n\ntext\n").unwrap().inner_signature);
        let mixed = format!("Content-Type: multipart/mixed; boundary=m\n\n--m\n\nevil\n--m\n{signed}--m--\n");
        assert!(look(&mixed).unwrap().inner_signature);
        let attached = format!(
            "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: message/rfc822\n\n{signed}--m--\n"
        );
        let seen = look(&attached).unwrap();
        assert!(!seen.inner_signature && seen.attached_signature);
        // After the attached message has ended, a signature is ours again.
        let after = format!(
            "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: message/rfc822\n\nSubject: x\n\nx\n--m\n{signed}--m--\n"
        );
        assert!(look(&after).unwrap().inner_signature);
    }

    #[test]
    fn sloppy_parts_are_passed_over_unless_they_could_be_structure() {
        let part = |header: &[u8]| {
            let before = b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n";
            survey(&[&before[..], header, b"\r\n\r\nx\r\n--m--\r\n"].concat(), &Limits::default())
        };
        assert!(part(b"Content-Type: application/pdf; name=compte rendu.pdf").is_ok());
        assert!(part(b"Content-Disposition: attachment; filename=\"r\xe9sultat.pdf\"").is_ok());
        assert!(part(b"no header at all").is_ok());
        assert!(part(b"Content-Type: multipart/signed; x y").is_err());
        assert!(part(b"X: \xe9\r\nContent-Type: application/pkcs7-mime").is_err());
        assert!(part(b"X: \xe9\r\n--m").is_err());
    }

    /// What stands behind the octets that are read of a header would be another reader's header.
    #[test]
    fn a_part_header_is_read_whole_or_refused() {
        let long = format!("X: yy\n{}", format!("Y: {}\n", "y".repeat(896)).repeat(300));
        let part =
            |header: &str| look(&format!("Content-Type: multipart/mixed; boundary=m\n\n--m\n{header}\nx\n--m--\n"));
        assert_eq!(part(&long), Err(MailFault::Mime("part header")));
        assert!(part(long.get(..90_006).unwrap()).is_ok());
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep: String =
            (0..80).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
        assert_eq!(look(&deep), Err(MailFault::TooManyParts));
        let letters = "Content-Type: message/rfc822\n\n".repeat(80);
        assert_eq!(look(&letters), Err(MailFault::TooManyParts));
        let wide = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(10_001));
        assert_eq!(look(&wide), Err(MailFault::TooManyParts));
    }

    proptest! {
        #[test]
        fn never_panics(pieces in proptest::collection::vec(
            prop_oneof![
                Just("Content-Type: multipart/mixed; boundary=b\r\n"),
                Just("Content-Type: message/rfc822\r\n"),
                Just("\r\n"), Just("--b\r\n"), Just("--b--\r\n"), Just("x\r\n"), Just("\n"), Just("--"),
            ], 0..20)
        ) {
            let text = pieces.concat();
            let _ = survey(text.as_bytes(), &Limits::default());
            let _ = parts(text.as_bytes(), "b", 5);
        }

        #[test]
        fn base64_round_trip(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut out = Vec::new();
            write_base64(&mut out, &data);
            prop_assert_eq!(decode(&out, TransferEncoding::Base64).unwrap(), &data[..]);
        }
    }
}

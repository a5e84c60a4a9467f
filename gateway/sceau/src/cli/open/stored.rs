//! A mail as tools on this system store it, in the form of the wire, where that changes nothing that is signed.

use mail::{HeaderBlock, Limits, media::MediaType};
use zeroize::Zeroizing;

use super::super::material;

/// The mail with CRLF, and whether that changed it.
///
/// A mail that is stored with LF has them all replaced: that is how its lines are written here. A clear-signed part
/// that has both line ends was written by nobody so: which octets were signed is not ours to guess (H13), and the
/// mail stays as it is, to be refused for its bare LF.
pub(super) fn wire_form(mail: Zeroizing<Vec<u8>>) -> (Zeroizing<Vec<u8>>, bool) {
    if signed_part_is_mixed(&mail).unwrap_or(false) { (mail, false) } else { material::wire_form(mail) }
}

fn signed_part_is_mixed(mail: &[u8]) -> Option<bool> {
    let mut lines = mail.split_inclusive(|octet| *octet == b'\n');
    let mut header = Vec::new();
    for line in lines.by_ref() {
        let text = without_end(line);
        header.extend_from_slice(text);
        header.extend_from_slice(b"\r\n");
        if text.is_empty() {
            break;
        }
    }
    let limits = Limits::default();
    let media = MediaType::of(&HeaderBlock::parse(&header, &limits).ok()?).ok()?;
    if media.essence != "multipart/signed" {
        return None;
    }
    let delimiter = format!("--{}", media.boundary().ok()?);
    let delimits = |line: &&[u8]| line.starts_with(delimiter.as_bytes());
    lines.by_ref().find(delimits)?;
    let part: Vec<&[u8]> = lines.take_while(|line| !delimits(line)).collect();
    // The last line end belongs to the delimiter.
    let (_, part) = part.split_last()?;
    let with_cr = part.iter().filter(|line| line.ends_with(b"\r\n")).count();
    Some(with_cr != 0 && with_cr != part.len())
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "From: a@x.test\nContent-Type: multipart/signed;\n boundary=\"s\"\n\nthis is signed\n--s\n";

    fn changed(mail: &str) -> (String, bool) {
        let (mail, changed) = wire_form(Zeroizing::new(mail.as_bytes().to_vec()));
        (String::from_utf8(mail.to_vec()).unwrap(), changed)
    }

    /// H13: no line end of signed octets is guessed.
    #[test]
    fn signed_octets_with_two_line_ends_stay_as_they_are() {
        let mixed = format!("{HEADER}A: b\r\n\r\none\ntwo\r\n\n--s\nA: b\n\n--s--\n");
        assert_eq!(changed(&mixed), (mixed.clone(), false));
        // What openssl writes (its own lines with LF, signed ones with CRLF), and what a mail store keeps.
        let tool = format!("{HEADER}A: b\r\n\r\none\r\ntwo\r\n\n--s\nA: b\n\n--s--\n");
        let stored = tool.replace("\r\n", "\n");
        for mail in [&tool, &stored] {
            assert_eq!(changed(mail), (stored.replace('\n', "\r\n"), true), "{mail}");
        }
        let wire = stored.replace('\n', "\r\n");
        assert_eq!(changed(&wire), (wire.clone(), false));
        let unsigned = "From: a@x.test\n\none\r\ntwo\n";
        assert_eq!(changed(unsigned), (unsigned.replace("\r\n", "\n").replace('\n', "\r\n"), true));
    }
}

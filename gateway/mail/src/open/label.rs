//! What a body is, whatever its header calls it.

use std::io::{self, Read as _};

use pki::{cms, plaintext::Plaintext};

use crate::{
    coding::Decoder,
    head::Entity,
    media::TransferEncoding,
    source::{Part, Source},
};

/// Octets that tell a container.
const BEGINNING: u64 = 64;

/// Whether this body, which its header does not call a container, begins like one. One changed bit in a
/// `Content-Type` would else make of a sealed message an unsigned one that shows its ciphertext.
pub(super) fn is_container(body: &Entity, encoding: TransferEncoding) -> bool {
    let mut beginning = Plaintext::default();
    // What cannot be read here cannot be read as a message either, which finds its own words for it.
    let _ = match encoding {
        TransferEncoding::Identity => {
            let Entity { source, from } = body.clone();
            let part = Part { source, from, to: None };
            part.reader(0).and_then(|reader| reader.take(BEGINNING).read_to_end(&mut beginning)).map(drop)
        }
        TransferEncoding::Base64 => decoded(body, &mut beginning),
        TransferEncoding::QuotedPrintable => return false,
    };
    cms::begins(&beginning)
}

/// The first octets behind base64, digit by digit: what is no base64 further on takes nothing away from them, however
/// the text comes in pieces.
fn decoded(body: &Entity, beginning: &mut Vec<u8>) -> io::Result<()> {
    let mut pieces = body.source.pieces(body.from)?;
    let mut decoder = Decoder::new();
    let enough = usize::try_from(BEGINNING).unwrap_or(usize::MAX);
    loop {
        let text = pieces.fill_buf()?;
        for digit in text {
            if decoder.update(std::slice::from_ref(digit), beginning).is_err() || beginning.len() >= enough {
                return Ok(());
            }
        }
        let taken = text.len();
        if taken == 0 {
            let _ = decoder.finish(beginning);
            return Ok(());
        }
        pieces.consume(taken);
    }
}

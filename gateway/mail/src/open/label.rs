//! What a body is, whatever its header calls it.

use std::{io::Read as _, sync::Arc};

use pki::cms;
use zeroize::Zeroizing;

use crate::{
    coding::Decoded,
    head::Entity,
    media::TransferEncoding,
    source::{Part, Source},
};

/// Octets that tell a container.
const BEGINNING: u64 = 64;

/// Whether this body, which its header does not call a container, begins like one. One changed bit in a
/// `Content-Type` would else make of a sealed message an unsigned one that shows its ciphertext.
pub(super) fn is_container(body: &Entity, encoding: TransferEncoding) -> bool {
    let Entity { source, from } = body.clone();
    let source: Arc<dyn Source> = match encoding {
        TransferEncoding::Identity => Arc::new(Part { source, from, to: None }),
        TransferEncoding::Base64 => Arc::new(Decoded { source, from }),
        TransferEncoding::QuotedPrintable => return false,
    };
    let mut beginning = Zeroizing::new(Vec::new());
    // What cannot be read here cannot be read as a message either, which finds its own words for it.
    let _ = source.reader(0).and_then(|reader| reader.take(BEGINNING).read_to_end(&mut beginning));
    cms::begins(&beginning)
}

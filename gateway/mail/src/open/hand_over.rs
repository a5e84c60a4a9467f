//! The message as its reader gets it: which header stands over which body.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{OpenFault, walk::Root};
use crate::{
    HeaderBlock, Limits,
    head::Entity,
    media::MediaType,
    seal::{HP_CIPHER, HP_CIPHER_BARE},
    source::Letter,
};

/// The message for the reader, and whether its header was protected.
pub(super) fn handed_over(root: &Root, limits: &Limits) -> Result<(Letter, bool), OpenFault> {
    let Entity { source, from } = &root.entity;
    let source = Arc::clone(source);
    if root.untouched || root.whole {
        return Ok((Letter::new(Zeroizing::default(), source, *from), root.whole));
    }
    let head = root.entity.head(limits)?;
    let block = head.block(limits)?;
    let protected = MediaType::of(&block)?.parameter("hp").is_some();
    let mut out = Zeroizing::new(Vec::with_capacity(head.octets().len().saturating_add(4096)));
    if protected {
        for field in block.fields().iter().filter(|field| !field.is("HP-Outer")) {
            let marks = [HP_CIPHER, HP_CIPHER_BARE];
            match marks.iter().find_map(|mark| field.raw().strip_suffix(mark.as_bytes())) {
                Some(plain) if field.is("Content-Type") => out.extend_from_slice(&[plain, b"\r\n"].concat()),
                _ => out.extend_from_slice(field.raw()),
            }
        }
    } else {
        // A mail client signed a MIME entity only: the header is the outer one, its MIME fields
        // are the entity's. Other fields in the entity have no meaning (RFC 8551 §3.1).
        let outer = HeaderBlock::parse(&root.frame, limits)?;
        let is_mime = |name: &str| name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
        for field in outer.fields().iter().filter(|field| !is_mime(field.name())) {
            out.extend_from_slice(field.raw());
        }
        for field in block.fields().iter().filter(|field| is_mime(field.name())) {
            out.extend_from_slice(field.raw());
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok((Letter::new(out, source, root.entity.body(&head)), protected))
}

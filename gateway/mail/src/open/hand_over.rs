//! The message as its reader gets it: which header stands over which body.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    HeaderOrigin, OpenFault,
    frame::{ClearSigned, is_mime},
    walk::{Frame, Root, Shape},
};
use crate::{
    HeaderBlock, Limits, MailFault,
    head::Entity,
    media::{HeaderProtection, MediaType},
    seal::{HP_CIPHER, HP_CIPHER_BARE},
    source::Letter,
    words,
};

/// The message for the reader.
pub(super) struct HandedOver {
    pub(super) letter: Letter,
    pub(super) header: HeaderOrigin,
    /// The signer says that the fields outside are the signed ones, and they are not.
    pub(super) outer_fields_differ: bool,
}

impl HandedOver {
    /// `own` is where the header of the root itself comes from.
    pub(super) fn of(root: &Root, limits: &Limits) -> Result<Self, OpenFault> {
        let Entity { source, from } = &root.entity;
        match &root.shape {
            Shape::Received | Shape::Message => {
                let letter = Letter::new(Zeroizing::default(), Arc::clone(source), *from);
                Ok(Self { letter, header: root.header(), outer_fields_differ: false })
            }
            Shape::Entity => entity(root, limits),
            Shape::ClearSigned(signed) => clear_signed(signed, &root.frame, limits),
        }
    }
}

/// What a container held that is no whole message.
fn entity(root: &Root, limits: &Limits) -> Result<HandedOver, OpenFault> {
    let head = root.entity.head(limits)?;
    let block = head.block(limits)?;
    let frame = root.frame.block(limits)?;
    let protection = MediaType::of(&block)?.header_protection();
    let mut out = Zeroizing::new(Vec::with_capacity(head.octets().len().saturating_add(4096)));
    if protection.is_some() {
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
        for field in frame.fields().iter().filter(|field| !is_mime(field.name())) {
            out.extend_from_slice(field.raw());
        }
        for field in block.fields().iter().filter(|field| is_mime(field.name())) {
            out.extend_from_slice(field.raw());
        }
    }
    out.extend_from_slice(b"\r\n");
    let letter = Letter::new(out, Arc::clone(&root.entity.source), root.entity.body(&head));
    let header = if protection.is_some() { root.header() } else { root.frame.origin };
    Ok(HandedOver { letter, header, outer_fields_differ: differs(protection, &frame, &block)? })
}

/// A clear signature stays on the message, so that the reader's own client can check it. Fields of the
/// multipart itself are never signed, whatever they claim; those of the signed part are (RFC 9788).
fn clear_signed(signed: &ClearSigned, frame: &Frame, limits: &Limits) -> Result<HandedOver, OpenFault> {
    let head = signed.head(limits)?;
    let block = head.block(limits)?;
    let outside = frame.block(limits)?;
    let protection = MediaType::of(&block)?.header_protection();
    let (fields, header) = match protection {
        Some(_) => (&block, HeaderOrigin::Signed),
        None => (&outside, frame.origin),
    };
    let outer_fields_differ = differs(protection, &outside, &block)?;
    Ok(HandedOver { letter: signed.message(fields)?, header, outer_fields_differ })
}

/// Whether subject or date outside are others than inside, where the signer says that nothing outside is.
fn differs(
    protection: Option<HeaderProtection>,
    outside: &HeaderBlock<'_>,
    inside: &HeaderBlock<'_>,
) -> Result<bool, MailFault> {
    if protection != Some(HeaderProtection::Clear) {
        return Ok(false);
    }
    fields_differ(outside, inside)
}

/// Whether one header has another subject or date than the other.
pub(super) fn fields_differ(outside: &HeaderBlock<'_>, inside: &HeaderBlock<'_>) -> Result<bool, MailFault> {
    let text = |block: &HeaderBlock<'_>, name| {
        let field = block.one(name)?;
        Ok::<_, MailFault>(field.map(|field| words::decode(&field.value()).split_whitespace().collect::<String>()))
    };
    for name in ["Subject", "Date"] {
        if text(outside, name)? != text(inside, name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

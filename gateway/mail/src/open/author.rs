//! The author's own signature: that of a message which practice software signed with its user's card
//! before a gateway signed, and wrapped, the whole (decision 0026).
//!
//! One layer at the root of that message is looked at and nothing is taken out of it: its octets are its
//! reader's. What it says is for [`crate::judge()`], as of a message of its own.

use std::sync::Arc;

use ident::Fingerprint;
use pki::{
    certificate::Certificate,
    cms::{CmsError, Malformed},
};
use zeroize::Zeroizing;

use super::{
    Access, HeaderOrigin, OpenFault, Opened, Signature,
    hand_over::fields_differ,
    walk::{Walk, is_wrap},
};
use crate::{
    Facts, Limits, MailFault, ProtectionHint,
    head::Head,
    media::{MediaType, TransferEncoding},
    mime::Survey,
    read::facts,
    source::{Letter, Room, Source},
};

/// Reads the signature that a message bears at its own root; `None` when it bears none. `of` are the
/// message's facts. What has to be kept of it while it is read goes into `room`.
///
/// What comes back is judged like any message, but holds no content. A signature that cannot be read, or
/// does not verify, is [`Signature::Broken`]. Where the signed content carries a header of its own
/// (RFC 9788 or message/rfc822), its facts are that header's, to be compared with the message's; subject and date are
/// compared here. The reader sees those of the message, which a delegate may have written.
///
/// # Errors
/// [`MailFault::Storage`] when the message cannot be read now; nothing else.
pub fn author(
    message: &Arc<dyn Source>,
    of: &Facts,
    known: &[Certificate],
    limits: &Limits,
    room: &dyn Room,
) -> Result<Option<Opened>, MailFault> {
    if of.protection == ProtectionHint::None {
        return Ok(None);
    }
    match signed(message, of, known, limits, room) {
        Ok(found) => Ok(found),
        Err(OpenFault::Mail(fault @ MailFault::Storage(_))) => Err(fault),
        Err(_) => {
            let unreadable = CmsError::Malformed(Malformed::Expected("a signature over the message"));
            Ok(Some(said(of, None, Signature::Broken(unreadable))))
        }
    }
}

fn signed(
    message: &Arc<dyn Source>,
    of: &Facts,
    known: &[Certificate],
    limits: &Limits,
    room: &dyn Room,
) -> Result<Option<Opened>, OpenFault> {
    let mut walk = Walk::new(Access::Keys(&[]), known, limits, room);
    let Some(content) = walk.only_signature(message)? else { return Ok(None) };
    let signature = walk.signature();
    let own = match signature {
        Signature::Good(_) => own_header(&content, limits)?,
        _ => None,
    };
    let Some(own) = own else { return Ok(Some(said(of, None, signature))) };
    let inside = own.block(limits)?;
    let outer_fields_differ = fields_differ(&Head::read(&**message, 0, limits)?.block(limits)?, &inside)?;
    Ok(Some(Opened { outer_fields_differ, ..said(of, Some(facts(&inside, limits)?), signature) }))
}

/// The header that the signed content carries itself, if it does.
fn own_header(content: &Arc<dyn Source>, limits: &Limits) -> Result<Option<Head>, MailFault> {
    let head = Head::read(&**content, 0, limits)?;
    let block = head.block(limits)?;
    let media = MediaType::of(&block)?;
    if media.header_protection().is_some() {
        return Ok(Some(head));
    }
    if !is_wrap(&media) || TransferEncoding::of(&block)? != TransferEncoding::Identity {
        return Ok(None);
    }
    Head::read(&**content, head.len(), limits).map(Some)
}

fn said(of: &Facts, inside: Option<Facts>, signature: Signature) -> Opened {
    Opened {
        outer: of.clone(),
        inner: Letter::of(Zeroizing::default()),
        inner_size: 0,
        header: if inside.is_some() { HeaderOrigin::Signed } else { HeaderOrigin::Wire },
        outer_fields_differ: false,
        facts: inside.unwrap_or_else(|| of.clone()),
        inner_digest: Fingerprint::new([0; 32]),
        encryption: None,
        signature,
        survey: Survey::default(),
        author: None,
        lent: Vec::new(),
    }
}

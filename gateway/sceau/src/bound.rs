//! What binds a queued message to its row: whoever can write `queue.db`, but holds no storage key, can neither send
//! a body to somebody else, nor change who hears of it, nor put other words about it on top.
//!
//! Each recipient of a message has a mark: an HMAC over everything that the row says about the message, the body and
//! the recipient, and that no later step changes. It stands in the second line of the notes; the first is
//! [`crate::queued::Notes`]. The state of a recipient is not bound: it changes, and can only be put back.

use ident::Fingerprint;
use openssl::{hash::MessageDigest, memcmp, pkey::PKey, sign::Signer};
use store::{BodyContent, BodyInfo, Envelope, MessageInfo, NewMessage, NewRecipient, Recipient, Work};
use zeroize::Zeroizing;

/// Octets of a mark: a forger has one try for each attempt at delivery, and each is an alarm.
const MARK: usize = 12;

/// Makes and checks marks.
pub struct Binder(Zeroizing<[u8; 32]>);

/// What a mark is made over, in either form of a message.
struct Row<'r> {
    id: &'r str,
    direction: trail::Direction,
    envelope: &'r Envelope,
    digest: &'r Fingerprint,
    notes: &'r str,
}

/// Its body.
struct Body<'r> {
    protection: &'r store::Protection,
    profile: Option<&'r str>,
    content_key: Option<&'r [u8]>,
    inner: Option<&'r Fingerprint>,
    digest: Fingerprint,
}

/// One of its recipients.
struct To<'r> {
    index: u32,
    address: String,
    destination: String,
    body: u32,
    notify: store::Notify,
    orcpt: Option<&'r str>,
}

impl Binder {
    /// With the secret of this gateway.
    pub fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// The message with its marks, ready for the queue.
    ///
    /// # Errors
    /// What the library says.
    pub fn bind(&self, mut message: NewMessage) -> Result<NewMessage, openssl::error::ErrorStack> {
        let bodies: Vec<Body<'_>> = message.bodies.iter().map(Body::new).collect();
        let id = message.id.to_string();
        let row = Row {
            id: &id,
            direction: message.direction,
            envelope: &message.envelope,
            digest: &message.digest,
            notes: &message.notes,
        };
        let mut marks = String::new();
        for (index, recipient) in (0u32..).zip(&message.recipients) {
            // A recipient without body is refused by the store.
            let body = usize::try_from(recipient.body).ok().and_then(|body| bodies.get(body));
            let Some(body) = body else { continue };
            self.mark(&row, body, &To::new(index, recipient))?
                .iter()
                .for_each(|octet| marks.push_str(&format!("{octet:02x}")));
        }
        drop(bodies);
        message.notes.push('\n');
        message.notes.push_str(&marks);
        Ok(message)
    }

    /// Whether all that the rows of this work say is what was written when it was taken.
    pub fn holds(&self, work: &Work) -> bool {
        let MessageInfo { id, direction, envelope, digest, notes, .. } = &work.info;
        let Some((notes, marks)) = notes.split_once('\n') else { return false };
        let id = id.to_string();
        let row = Row { id: &id, direction: *direction, envelope, digest, notes };
        let body = Body::stored(&work.body);
        work.recipients.iter().all(|recipient| {
            let to = To::stored(recipient);
            let expected = self.mark(&row, &body, &to);
            expected
                .is_ok_and(|expected| written(marks, recipient.index).is_some_and(|mark| memcmp::eq(&mark, &expected)))
        })
    }

    fn mark(&self, row: &Row<'_>, body: &Body<'_>, to: &To<'_>) -> Result<[u8; MARK], openssl::error::ErrorStack> {
        let key = PKey::hmac(&*self.0)?;
        let mut mac = Signer::new(MessageDigest::sha256(), &key)?;
        let envelope = row.envelope;
        let flags = [envelope.smtputf8, envelope.require_tls, to.notify.success, to.notify.failure, to.notify.delay];
        let sender = envelope.sender.as_ref().map(ToString::to_string);
        let fields: [Option<&[u8]>; 17] = [
            Some(b"sceau/row/1"),
            Some(row.id.as_bytes()),
            Some(match row.direction {
                trail::Direction::Outgoing => b"outgoing",
                trail::Direction::Incoming => b"incoming",
                trail::Direction::Internal => b"internal",
            }),
            sender.as_deref().map(str::as_bytes),
            Some(&flags.map(u8::from)),
            envelope.ret.map(|ret| match ret {
                store::Return::Full => &b"full"[..],
                store::Return::Headers => b"headers",
            }),
            envelope.envid.as_deref().map(str::as_bytes),
            Some(row.digest.as_bytes()),
            Some(row.notes.as_bytes()),
            Some(match body.protection {
                store::Protection::Sealed => b"sealed",
                store::Protection::AsReceived => b"as received",
                store::Protection::StorageKey => b"storage key",
            }),
            body.profile.map(str::as_bytes),
            body.content_key,
            body.inner.map(|inner| &inner.as_bytes()[..]),
            Some(body.digest.as_bytes()),
            Some(to.address.as_bytes()),
            Some(to.destination.as_bytes()),
            to.orcpt.map(str::as_bytes),
        ];
        // Each field with its length, so that nothing moves from one into the next.
        for field in fields {
            mac.update(&field.map_or(u64::MAX, |field| u64::try_from(field.len()).unwrap_or(u64::MAX)).to_be_bytes())?;
            mac.update(field.unwrap_or_default())?;
        }
        mac.update(&to.index.to_be_bytes())?;
        mac.update(&to.body.to_be_bytes())?;
        let whole = mac.sign_to_vec()?;
        Ok(whole.first_chunk().copied().unwrap_or_default())
    }
}

/// The mark of one recipient among all of them.
fn written(marks: &str, index: u32) -> Option<[u8; MARK]> {
    let start = usize::try_from(index).ok()?.checked_mul(MARK.checked_mul(2)?)?;
    let text = marks.get(start..start.checked_add(MARK.checked_mul(2)?)?)?;
    let mut mark = [0u8; MARK];
    for (octet, digits) in mark.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(mark)
}

impl<'r> Body<'r> {
    fn new(body: &'r store::NewBody) -> Self {
        Self {
            protection: &body.protection,
            profile: body.profile.as_deref(),
            content_key: body.content_key.as_deref(),
            inner: body.inner.as_ref(),
            digest: match &body.content {
                BodyContent::Bytes(bytes) => Fingerprint::new(openssl::sha::sha256(bytes)),
                BodyContent::Staged(staged) => staged.digest,
            },
        }
    }

    fn stored(body: &'r BodyInfo) -> Self {
        Self {
            protection: &body.protection,
            profile: body.profile.as_deref(),
            content_key: body.content_key.as_deref(),
            inner: body.inner.as_ref(),
            digest: body.digest,
        }
    }
}

impl<'r> To<'r> {
    fn new(index: u32, recipient: &'r NewRecipient) -> Self {
        Self {
            index,
            address: recipient.address.to_string(),
            destination: recipient.destination.to_string(),
            body: recipient.body,
            notify: recipient.notify,
            orcpt: recipient.orcpt.as_deref(),
        }
    }

    fn stored(recipient: &'r Recipient) -> Self {
        Self {
            index: recipient.index,
            address: recipient.address.to_string(),
            destination: recipient.destination.to_string(),
            body: recipient.body,
            notify: recipient.notify,
            orcpt: recipient.orcpt.as_deref(),
        }
    }
}

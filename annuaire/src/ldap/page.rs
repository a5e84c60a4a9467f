//! Paged results (RFC 2696): a cookie that says where to go on, sealed so that nobody makes one, and good for one
//! question of one asker over one generation only.

use openssl::{hash::MessageDigest, memcmp, pkey::PKey, sha::sha256, sign::Signer};

use super::ber::{Reader, Writer, tag};

/// The control's number.
pub(super) const PAGED: &str = "1.2.840.113556.1.4.319";
/// Octets of a seal.
const SEAL: usize = 16;
/// Form of a cookie.
const FORM: u8 = 3;

/// Where a search goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// 0 folders, 1 people, 2 structures.
    pub(super) part: u8,
    /// Hits passed over.
    pub(super) hits: u32,
    /// Entries of the next hit that were given already.
    pub(super) entries: u32,
    /// Entries given in all.
    pub(super) given: u32,
    /// The index left something out on an earlier page: the last one says so.
    pub(super) wide: bool,
}

/// What the control asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageAsked {
    pub(super) size: u32,
    pub(super) cookie: Vec<u8>,
}

impl PageAsked {
    /// Reads the control's value.
    pub(super) fn read(value: Option<&[u8]>) -> Option<Self> {
        let mut outer = Reader::new(value?);
        let mut inside = Reader::new(outer.expect(tag::SEQUENCE).ok()?);
        let size = inside.number(tag::INTEGER).ok()?;
        let cookie = inside.expect(tag::OCTETS).ok()?.to_vec();
        (outer.end().is_ok() && inside.end().is_ok() && cookie.len() <= 256).then_some(Self { size, cookie })
    }
}

/// Writes the control of an answer: an estimate of how many there are, 0 when nobody knows.
pub(super) fn put(out: &mut Writer, estimate: u32, cookie: &[u8]) {
    out.constructed(tag::CONTEXT_0, |list| {
        list.constructed(tag::SEQUENCE, |control| {
            control.put(tag::OCTETS, PAGED.as_bytes());
            let mut value = Writer::new();
            value.constructed(tag::SEQUENCE, |inside| {
                inside.number(tag::INTEGER, estimate);
                inside.put(tag::OCTETS, cookie);
            });
            control.put(tag::OCTETS, &value.into_octets());
        });
    });
}

/// Seals and opens the cookies of one process.
#[derive(Clone)]
pub struct Pages {
    key: [u8; 32],
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages")
    }
}

/// Why a cookie is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CookieFault {
    /// Not ours, or of another question.
    Foreign,
    /// Its generation is no longer in service.
    Gone,
}

impl Pages {
    /// Sealing with this key, which lives as long as the process.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    pub(super) fn cookie(&self, place: Place, generation: &str, question: &[u8; 32], who: &str) -> Vec<u8> {
        let mut octets = vec![FORM, place.part, u8::from(place.wide)];
        octets.extend_from_slice(&place.hits.to_be_bytes());
        octets.extend_from_slice(&place.entries.to_be_bytes());
        octets.extend_from_slice(&place.given.to_be_bytes());
        octets.extend(sha256(generation.as_bytes()).iter().take(8));
        let seal = self.seal(&octets, question, who);
        octets.extend_from_slice(&seal);
        octets
    }

    pub(super) fn open(
        &self,
        cookie: &[u8],
        generation: &str,
        question: &[u8; 32],
        who: &str,
    ) -> Result<Place, CookieFault> {
        let Some(split) = cookie.len().checked_sub(SEAL) else { return Err(CookieFault::Foreign) };
        let (octets, seal) = cookie.split_at_checked(split).ok_or(CookieFault::Foreign)?;
        let wanted = self.seal(octets, question, who);
        if wanted.len() != seal.len() || !memcmp::eq(&wanted, seal) {
            return Err(CookieFault::Foreign);
        }
        let [FORM, part, wide, h0, h1, h2, h3, e0, e1, e2, e3, g0, g1, g2, g3, name @ ..] = octets else {
            return Err(CookieFault::Foreign);
        };
        if sha256(generation.as_bytes()).get(..8) != Some(name) {
            return Err(CookieFault::Gone);
        }
        Ok(Place {
            part: *part,
            wide: *wide != 0,
            hits: u32::from_be_bytes([*h0, *h1, *h2, *h3]),
            entries: u32::from_be_bytes([*e0, *e1, *e2, *e3]),
            given: u32::from_be_bytes([*g0, *g1, *g2, *g3]),
        })
    }

    /// Without a seal nothing is opened: a library that fails to make one makes cookies that nobody takes.
    fn seal(&self, octets: &[u8], question: &[u8; 32], who: &str) -> Vec<u8> {
        let sealed = || {
            let key = PKey::hmac(&self.key)?;
            let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
            signer.update(octets)?;
            signer.update(question)?;
            signer.update(who.as_bytes())?;
            signer.sign_to_vec()
        };
        let mut seal = sealed().unwrap_or_default();
        seal.truncate(SEAL);
        seal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_one_question_of_one_asker_over_one_generation() {
        let pages = Pages::new([7; 32]);
        let place = Place { part: 1, hits: 70_000, entries: 70_001, given: 70_100, wide: true };
        let cookie = pages.cookie(place, "g1", &[1; 32], "a");
        assert_eq!(pages.open(&cookie, "g1", &[1; 32], "a"), Ok(place));
        assert_eq!(pages.open(&cookie, "g2", &[1; 32], "a"), Err(CookieFault::Gone));
        assert_eq!(pages.open(&cookie, "g1", &[2; 32], "a"), Err(CookieFault::Foreign));
        assert_eq!(pages.open(&cookie, "g1", &[1; 32], "b"), Err(CookieFault::Foreign));
        assert_eq!(Pages::new([8; 32]).open(&cookie, "g1", &[1; 32], "a"), Err(CookieFault::Foreign));
        for at in 0..cookie.len() {
            let mut spoiled = cookie.clone();
            spoiled[at] ^= 1;
            assert_eq!(pages.open(&spoiled, "g1", &[1; 32], "a"), Err(CookieFault::Foreign));
            assert_eq!(pages.open(&cookie[..at], "g1", &[1; 32], "a"), Err(CookieFault::Foreign));
        }
    }
}

//! Encrypting and decrypting content: the only place that touches the ciphers.

use std::hint::black_box;

use openssl::{cipher_ctx::CipherCtx, error::ErrorStack};
use zeroize::Zeroizing;

use super::algorithm::{BLOCK, ContentAlgorithm, TAG};

/// What one call to the library gets: its lengths are signed 32-bit numbers.
const CHUNK: usize = 1 << 20;

/// Encrypts content as it comes.
pub(crate) struct Encryptor {
    context: CipherCtx,
    authenticated: bool,
}

impl Encryptor {
    pub(crate) fn new(algorithm: &ContentAlgorithm<'_>, key: &[u8]) -> Result<Self, ErrorStack> {
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(algorithm.cipher), Some(key), Some(algorithm.nonce))?;
        Ok(Self { context, authenticated: algorithm.authenticated })
    }

    /// Appends what these octets become.
    pub(crate) fn update(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorStack> {
        content.chunks(CHUNK).try_for_each(|chunk| self.context.cipher_update_vec(chunk, out).map(|_| ()))
    }

    /// Appends the last block and returns the authentication tag (empty for CBC).
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<Vec<u8>, ErrorStack> {
        self.context.cipher_final_vec(out)?;
        let mut tag = vec![0; if self.authenticated { TAG } else { 0 }];
        if self.authenticated {
            self.context.tag(&mut tag)?;
        }
        Ok(tag)
    }
}

/// Octets that an [`Encryptor`] makes of content of this length.
pub(crate) fn encrypted_length(algorithm: &ContentAlgorithm<'_>, content: usize) -> usize {
    if algorithm.authenticated { content } else { content.saturating_add(1).next_multiple_of(BLOCK) }
}

/// Decrypts content as it comes. What comes out means nothing before [`Decryptor::finish`] has judged tag or
/// padding: until then the caller keeps it to itself (A18).
pub(crate) struct Decryptor {
    context: CipherCtx,
    authenticated: bool,
    /// Under CBC the last block so far: it may be the one that holds the padding.
    last: Zeroizing<Vec<u8>>,
}

impl Decryptor {
    pub(crate) fn new(
        algorithm: &ContentAlgorithm<'_>,
        key: &[u8],
        associated: Option<&[u8]>,
        tag: &[u8],
    ) -> Result<Self, ErrorStack> {
        let mut context = CipherCtx::new()?;
        context.decrypt_init(Some(algorithm.cipher), Some(key), Some(algorithm.nonce))?;
        if algorithm.authenticated {
            context.set_tag(tag)?;
        } else {
            // Taken off below: the library's error would tell by its time what a padding was (A9).
            context.set_padding(false);
        }
        if let Some(associated) = associated {
            context.cipher_update(associated, None)?;
        }
        Ok(Self { context, authenticated: algorithm.authenticated, last: Zeroizing::new(Vec::with_capacity(BLOCK)) })
    }

    /// Appends what these octets become.
    pub(crate) fn update(&mut self, encrypted: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorStack> {
        let before = out.len();
        out.extend_from_slice(&self.last);
        encrypted.chunks(CHUNK).try_for_each(|chunk| self.context.cipher_update_vec(chunk, out).map(|_| ()))?;
        if !self.authenticated {
            let kept = before.max(out.len().saturating_sub(BLOCK));
            self.last.clear();
            self.last.extend(out.drain(kept..));
        }
        Ok(())
    }

    /// Appends the last block and judges: `Ok` for a good tag; under CBC whether the padding was sound. If not,
    /// everything goes on as with a whole block of it, for as long and as far, and ends as a failure.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<bool, ErrorStack> {
        self.context.cipher_final_vec(out)?;
        let padding = if self.authenticated { Some(0) } else { padding(&self.last) };
        let kept = self.last.len().saturating_sub(padding.unwrap_or(BLOCK));
        out.extend_from_slice(self.last.get(..kept).unwrap_or_default());
        Ok(padding.is_some())
    }
}

/// Octets of padding at the end of a block (RFC 5652 §6.3), found without a branch on them.
fn padding(block: &[u8]) -> Option<usize> {
    let count = *block.last()?;
    let (at_least_one, fits) = (count.wrapping_sub(1), u8::try_from(block.len()).ok()?);
    let mut wrong = black_box(at_least_one >= fits);
    for (from_end, octet) in (0u8..).zip(block.iter().rev()) {
        wrong |= black_box((from_end < count) & (*octet != count));
    }
    (!wrong).then_some(usize::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_one_to_a_block_of_its_own_count() {
        let block =
            |count: u8, fill: u8| [vec![200u8; 16 - usize::from(fill)], vec![count; usize::from(fill)]].concat();
        for count in 1..=16 {
            assert_eq!(padding(&block(count, count)), Some(usize::from(count)));
            let one_short = block(count, count - 1);
            assert_eq!(padding(&one_short), None, "{one_short:?}");
        }
        assert_eq!(padding(&[0; 16]), None);
        assert_eq!(padding(&[17; 16]), None);
        assert_eq!(padding(&[]), None);
    }
}

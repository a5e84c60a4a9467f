//! Encrypting and decrypting content: the only place that touches the ciphers.

use openssl::{cipher_ctx::CipherCtx, error::ErrorStack};

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
pub(crate) struct Decryptor(CipherCtx);

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
        }
        if let Some(associated) = associated {
            context.cipher_update(associated, None)?;
        }
        Ok(Self(context))
    }

    /// Appends what these octets become.
    pub(crate) fn update(&mut self, encrypted: &[u8], out: &mut Vec<u8>) -> Result<(), ErrorStack> {
        encrypted.chunks(CHUNK).try_for_each(|chunk| self.0.cipher_update_vec(chunk, out).map(|_| ()))
    }

    /// Appends the last block and judges.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), ErrorStack> {
        self.0.cipher_final_vec(out).map(|_| ())
    }
}

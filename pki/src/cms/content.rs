//! Encrypting and decrypting content: the only place that touches the ciphers.

use openssl::{cipher_ctx::CipherCtx, error::ErrorStack};
use zeroize::Zeroizing;

use super::{
    algorithm::{BLOCK, ContentAlgorithm, TAG},
    reader::Octets,
};

/// What one call to the library gets: its lengths are signed 32-bit numbers.
const CHUNK: usize = 1 << 20;

/// Appends the encrypted content to `out` and returns the authentication tag (empty for CBC).
pub(crate) fn encrypt(
    algorithm: &ContentAlgorithm<'_>,
    key: &[u8],
    content: &[u8],
    out: &mut Vec<u8>,
) -> Result<Vec<u8>, ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(algorithm.cipher), Some(key), Some(algorithm.nonce))?;
    for chunk in content.chunks(CHUNK) {
        context.cipher_update_vec(chunk, out)?;
    }
    context.cipher_final_vec(out)?;
    let mut tag = vec![0; if algorithm.authenticated { TAG } else { 0 }];
    if algorithm.authenticated {
        context.tag(&mut tag)?;
    }
    Ok(tag)
}

/// Octets that [`encrypt`] will append for content of this length.
pub(crate) fn encrypted_length(algorithm: &ContentAlgorithm<'_>, content: usize) -> usize {
    if algorithm.authenticated { content } else { content.saturating_add(1).next_multiple_of(BLOCK) }
}

/// Decrypts and judges tag or padding; nothing is handed out before the judgement (A18).
///
/// Lengths were judged by the caller. The buffer is reserved whole, so that no copy of the
/// plaintext is left behind by growth.
pub(crate) fn decrypt(
    algorithm: &ContentAlgorithm<'_>,
    key: &[u8],
    associated: Option<&[u8]>,
    encrypted: &Octets<'_>,
    tag: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.decrypt_init(Some(algorithm.cipher), Some(key), Some(algorithm.nonce))?;
    if algorithm.authenticated {
        context.set_tag(tag)?;
    }
    if let Some(associated) = associated {
        context.cipher_update(associated, None)?;
    }
    let mut content = Zeroizing::new(Vec::with_capacity(encrypted.len().saturating_add(2 * BLOCK)));
    for chunk in encrypted.pieces().iter().flat_map(|piece| piece.chunks(CHUNK)) {
        context.cipher_update_vec(chunk, &mut content)?;
    }
    context.cipher_final_vec(&mut content)?;
    Ok(content)
}

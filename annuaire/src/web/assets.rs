//! Style sheet, script and mark: served under names that carry their digest, so that browsers keep them for good.

use std::sync::LazyLock;

use http::{StatusCode, header};

use crate::{
    face::{Asked, Response, response},
    generation::hex,
};

/// One served file.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its name, with the digest.
    pub(super) name: String,
    media_type: &'static str,
    bytes: &'static [u8],
}

/// All of them.
#[derive(Debug)]
pub(super) struct Assets {
    pub(super) style: Asset,
    pub(super) script: Asset,
    pub(super) mark: Asset,
}

pub(super) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: asset("annuaire", "css", "text/css; charset=utf-8", include_bytes!("static/annuaire.css")),
    script: asset("annuaire", "js", "text/javascript; charset=utf-8", include_bytes!("static/annuaire.js")),
    mark: asset("mark", "svg", "image/svg+xml", include_bytes!("static/mark.svg")),
});

fn asset(name: &str, ending: &str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
    let digest = hex(&openssl::sha::sha256(bytes));
    let short = digest.get(..16).unwrap_or_default();
    Asset { name: format!("{name}-{short}.{ending}"), media_type, bytes }
}

/// The file of this name. A name with another digest is another version's: not there.
pub(super) fn serve(name: &str) -> Option<Response> {
    let all = &*ASSETS;
    let asset = [&all.style, &all.script, &all.mark].into_iter().find(|asset| asset.name == name)?;
    let mut response = response(asset.media_type, asset.bytes.to_vec());
    *response.status_mut() = StatusCode::OK;
    let forever = header::HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response.extensions_mut().insert(Asked { kind: "asset", answers: 0 });
    Some(response)
}

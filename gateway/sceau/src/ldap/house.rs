//! A hospital whose clock is moved by hand, for the tests of its LDAP face.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ident::{ManualClock, Timestamp};
use openssl::pkcs5::scrypt;
use pki::certificate::Certificate;
use tokio::runtime::Runtime;

use super::Face;
use crate::{
    demo::{
        authorities::Authorities,
        cast::Place,
        space::{Space, SpaceSettings},
    },
    gateway::Gateway,
    net::tls::TlsFacts,
};

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
pub(super) const PASSWORD: &str = "mot-de-passe-fictif";

/// A hash that costs next to nothing.
pub(super) fn hash(password: &str) -> String {
    let (salt, mut hash) = ([3; 16], [0; 32]);
    scrypt(password.as_bytes(), &salt, 1024, 1, 1, 64 * 1024 * 1024, &mut hash).unwrap();
    format!("scrypt$1024$1$1${}${}", STANDARD.encode(salt), STANDARD.encode(hash))
}

/// A hospital, and what its LDAP face counts.
pub(super) struct House {
    pub(super) space: Space,
    pub(super) authorities: Authorities,
    pub(super) clock: Arc<ManualClock>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) face: Arc<Face>,
    pub(super) runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl House {
    /// With this in its configuration.
    pub(super) fn with(more: &str) -> Self {
        Self::made(|_, _| more.to_owned())
    }

    /// With what is made in its space in its configuration.
    pub(super) fn made(more: impl FnOnce(&Space, &mut Authorities) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = SpaceSettings::small(folder.path(), NOW, 4);
        let (space, mut authorities) = Space::create_with_authorities(&settings).unwrap();
        let file = space.configuration(Place::A);
        std::fs::write(file.with_file_name("app.hash"), hash(PASSWORD)).unwrap();
        let more = more(&space, &mut authorities);
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &more).unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let (gateway, _) = Gateway::open(file, Arc::clone(&clock) as _).unwrap();
        // One thread that may block: a test can hold it.
        let runtime =
            tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
        Self { space, authorities, clock, gateway, face: Face::new().unwrap(), runtime, _folder: folder }
    }

    /// What a connection says that shows somebody's card.
    pub(super) fn card(&self, whose: &str) -> TlsFacts {
        let file = &self.space.holder(whose).unwrap().card.certificate;
        let peer = Certificate::list_from_pem(&std::fs::read(file).unwrap()).unwrap();
        TlsFacts { version: "TLSv1.3".to_owned(), cipher: "TLS_AES_256_GCM_SHA384".to_owned(), peer, stapled: None }
    }

    /// Changes the configuration.
    pub(super) fn reconfigure(&self, from: &str, to: &str) {
        let file = self.space.configuration(Place::A);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        self.gateway.reload().unwrap();
    }
}

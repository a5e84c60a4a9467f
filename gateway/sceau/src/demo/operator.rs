//! The third operator as a whole: Postfix with mutual TLS and no S/MIME, and its users' mail store.

use std::io;

use thiserror::Error;

use super::{
    cast::{Behaviour, CastError, Place},
    inner_store::InnerStore,
    postfix::{Peer, Postfix, PostfixError, PostfixSettings, enterable},
    space::{Space, reached},
};

/// Why the third operator could not be started.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// Its Postfix.
    #[error(transparent)]
    Postfix(#[from] PostfixError),
    /// Its mail store.
    #[error("the third operator's mail store cannot be started: {0}")]
    Store(io::Error),
    /// Its names.
    #[error(transparent)]
    Cast(#[from] CastError),
}

/// The running third operator.
#[derive(Debug)]
pub struct ThirdOperator {
    /// Its mail server.
    pub postfix: Postfix,
    /// Where its users' mail arrives.
    pub store: InnerStore,
    /// Postfix's folder, where the space's own could not be used.
    _folder: Option<tempfile::TempDir>,
}

impl ThirdOperator {
    /// Starts mail store and Postfix with the identity, the ports and the partners of the space.
    ///
    /// # Errors
    /// [`OperatorError`]
    pub async fn start(space: &Space) -> Result<Self, OperatorError> {
        let home = space.folder.join(Place::C.folder());
        let mut settings = settings(space)?;
        let folder = if enterable(&home) {
            None
        } else {
            // Postfix's own user cannot go through a private folder: give it one of its own elsewhere.
            let folder = tempfile::Builder::new().prefix("sceau-postfix-").tempdir().map_err(OperatorError::Store)?;
            settings.folder = folder.path().to_owned();
            Some(folder)
        };
        let host = Place::C.host();
        let store = InnerStore::start(space.ports.c.inner, home.join("mail"), &host);
        let store = store.await.map_err(OperatorError::Store)?;
        Ok(Self { postfix: Postfix::start(&settings).await?, store, _folder: folder })
    }

    /// Stops both.
    ///
    /// # Errors
    /// [`PostfixError::Stop`]
    pub async fn stop(self) -> Result<(), OperatorError> {
        self.postfix.stop().await?;
        self.store.stop().await;
        Ok(())
    }
}

/// What its operator would have configured.
fn settings(space: &Space) -> Result<PostfixSettings, CastError> {
    let [a, b] = &space.gateways;
    let mut peers = vec![];
    for (place, ports, files) in [(Place::A, &space.ports.a, a), (Place::B, &space.ports.b, b)] {
        let (domain, host) = (place.domain()?, place.host());
        peers.push(Peer { domain, host, exchange: reached(ports.exchange), client: files.fingerprint });
    }
    let here = space.holders.iter().map(|holder| &holder.person).filter(|person| person.place == Place::C);
    let mut mailboxes: Vec<_> = here.filter_map(|person| person.mailbox.clone()).collect();
    for (word, _) in Behaviour::STEERED {
        mailboxes.push(Place::C.address(&format!("{word}.essai"))?);
    }
    Ok(PostfixSettings {
        folder: space.folder.join(Place::C.folder()).join("postfix"),
        host: Place::C.host(),
        domain: Place::C.domain()?,
        mailboxes,
        exchange: space.ports.c.exchange,
        internal: space.ports.c.internal,
        store: space.ports.c.inner,
        certificate: space.operator.certificate.clone(),
        key: space.operator.key.clone(),
        authorities: space.anchor("servers-chain"),
        peers,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, net::IpAddr, os::unix::fs::PermissionsExt};

    use pki::issue::KeyAlgorithm;

    use super::*;
    use crate::demo::space::{Ports, SpaceSettings};

    #[tokio::test]
    async fn starts_from_a_private_folder_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let now = ident::Clock::now(&ident::SystemClock);
        let ports = Ports::free(IpAddr::from([127, 0, 0, 1])).unwrap();
        let settings = SpaceSettings {
            folder: folder.path().to_owned(),
            now,
            seed: 1,
            people: 40,
            key: KeyAlgorithm::P256,
            ports,
        };
        let space = Space::create(&settings).unwrap();
        let operator = ThirdOperator::start(&space).await.unwrap();
        assert!(!operator.postfix.log().starts_with(folder.path()));
        assert!(operator.postfix.log().exists());
        operator.stop().await.unwrap();
    }
}

//! Clients that ask a directory again and again over one connection each, as the benches and the swaps of data need
//! them: LDAP and HTTP over TLS, spelled by hand so that the same client asks us and whoever we are measured beside.

pub mod days;
pub mod http;
pub mod ldap;
pub mod place;
pub mod programs;
pub mod steady;
pub mod visitors;

use std::{
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
};

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};

use crate::process::PATIENCE;

/// A TLS connection whose server is believed: these clients measure, others check certificates.
fn connected(at: SocketAddr) -> SslStream<TcpStream> {
    let stream = TcpStream::connect(at).unwrap_or_else(|error| panic!("{at}: {error}"));
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut configuration = CONNECTOR.configure().unwrap();
    configuration.set_verify_hostname(false);
    configuration.set_use_server_name_indication(false);
    configuration.connect("", stream).unwrap_or_else(|error| panic!("TLS with {at}: {error}"))
}

/// Made once: it reads the roots of the system, which takes twenty milliseconds, and no program does so for each connection.
static CONNECTOR: LazyLock<SslConnector> = LazyLock::new(|| {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.build()
});

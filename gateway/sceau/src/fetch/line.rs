//! Lines to the outside: names, connections, TLS.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use hickory_resolver::TokioResolver;
use openssl::{error::ErrorStack, ssl::SslContext};
use tokio::net::TcpStream;

use super::{Fault, Place, Rules, Scheme, ServerTrust, rules::is_public};
use crate::net::{
    tls::{self, TlsFacts, TlsIdentity},
    wire::Wire,
};

/// Addresses tried for one host.
const MAX_ADDRESSES: usize = 4;

/// How the outside is reached: our own look-ups, our own TLS settings, no certificate shown unless somebody says so.
pub struct Lines {
    resolver: Option<TokioResolver>,
    context: SslContext,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("resolver", &self.resolver.is_some()).finish_non_exhaustive()
    }
}

impl Lines {
    /// With the machine's resolver; without one only hosts of fixed address can be asked.
    ///
    /// # Errors
    /// Those of the TLS library.
    pub fn new() -> Result<Self, ErrorStack> {
        let resolver = TokioResolver::builder_tokio().ok().and_then(|builder| builder.build().ok());
        Ok(Self { resolver, context: tls::nobody()? })
    }

    /// The same, showing this certificate to those who ask for one.
    #[must_use]
    pub fn showing(self, identity: &TlsIdentity) -> Self {
        Self { context: identity.as_client(), ..self }
    }

    /// A connection to the site of `place`. What was looked up is what is connected to: a second
    /// look-up could say something else (DNS rebinding).
    pub(super) async fn connect(&self, place: &Place, rules: &Rules, trust: &dyn ServerTrust) -> Result<Wire, Fault> {
        let site = place.site();
        let mut failure = Fault::Dns("no address".to_owned());
        for address in self.addresses(&site.host, rules).await? {
            match TcpStream::connect(SocketAddr::new(address, site.port)).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return match place.scheme() {
                        Scheme::Http | Scheme::Ldap => Ok(Wire::Plain(stream)),
                        Scheme::Https => self.encrypt(stream, &site.host, trust).await,
                    };
                }
                Err(error) => failure = Fault::Connect(error),
            }
        }
        Err(failure)
    }

    async fn addresses(&self, host: &str, rules: &Rules) -> Result<Vec<IpAddr>, Fault> {
        if let Some(address) = rules.fixed(host) {
            return Ok(vec![address]);
        }
        let found = match IpAddr::from_str(host) {
            Ok(address) => vec![address],
            Err(_) => self.look_up(host).await?,
        };
        // One private address spoils the name: whoever answers for it means no good, or the
        // configuration has to say so.
        match found.iter().find(|address| !is_public(**address)) {
            Some(address) => Err(Fault::PrivateAddress(*address)),
            None => Ok(found),
        }
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, Fault> {
        let resolver = self.resolver.as_ref().ok_or_else(|| Fault::Dns("this machine has no resolver".to_owned()))?;
        let answer = resolver.lookup_ip(format!("{host}.")).await.map_err(|error| Fault::Dns(error.to_string()))?;
        Ok(answer.iter().take(MAX_ADDRESSES).collect())
    }

    async fn encrypt(&self, stream: TcpStream, host: &str, trust: &dyn ServerTrust) -> Result<Wire, Fault> {
        let stream = tls::connect(&self.context, host, stream).await.map_err(|error| Fault::Tls(error.to_string()))?;
        let facts = TlsFacts::of(stream.ssl());
        trust.judge(host, &facts.peer).map_err(Fault::Server)?;
        Ok(Wire::Tls(Box::new(stream)))
    }
}

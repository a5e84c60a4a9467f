//! The directory over LDAP: a hospital that serves it, and LDAP spoken by hand over TLS: what mail programs send, octet
//! for octet, and what none would send.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use openssl::ssl::{SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslStream, SslVerifyMode};
use sceau::demo::cast::Place;
use sceau::demo::space::IdentityFiles;

use crate::gateway::{Gateway, sceau};
use crate::place::free_endpoint;
use crate::process::{Finished, PATIENCE, run, tool};
use crate::world::World;

/// The password of the account `annuaire-app`.
pub const PASSWORD: &str = "mot-de-passe-fictif";
/// The folder that everything is in.
pub const BASE: &str = "dc=annuaire";

/// A hospital whose directory answers over LDAP: anybody, who shows a card, and by StartTLS.
#[derive(Debug)]
pub struct Served {
    /// The space that it is in.
    pub world: World,
    /// Its gateway.
    pub gateway: Gateway,
    /// TLS from the start, nobody is asked for a certificate.
    pub open: SocketAddr,
    /// TLS from the start, certificates are asked for.
    pub cards: SocketAddr,
    /// In clear, until StartTLS.
    pub starttls: SocketAddr,
}

impl Served {
    /// Starts one; `more` goes into the section `[ldap]`.
    #[must_use]
    #[track_caller]
    pub fn with(more: &str) -> Self {
        Self::in_world(World::new(), more)
    }

    /// The same in a world that was changed before.
    #[must_use]
    #[track_caller]
    pub fn in_world(world: World, more: &str) -> Self {
        let (open, cards, starttls) = (free_endpoint(), free_endpoint(), free_endpoint());
        let hash = sceau(&["annuaire", "password"], PASSWORD.as_bytes()).success();
        std::fs::write(world.folder().join(Place::A.folder()).join("app.hash"), hash).unwrap();
        let text = format!(
            "[ldap]\nanonymous = true\n{more}\n\
             [[ldap.listener]]\naddress = \"{open}\"\n\
             [[ldap.listener]]\naddress = \"{cards}\"\ncertificates = true\n\
             [[ldap.listener]]\naddress = \"{starttls}\"\ntls = \"starttls\"\ncertificates = true\n\
             [[ldap.account]]\nname = \"annuaire-app\"\npassword = \"app.hash\"\nwhole = true\n"
        );
        world.append(Place::A, "sceau.toml", &text);
        hide(&world, "durand");
        let gateway = world.serve(Place::A);
        Self { world, gateway, open, cards, starttls }
    }

    /// `ldapsearch` with these arguments; with a card if one is named.
    #[track_caller]
    pub fn search(&self, uri: &str, card: Option<&str>, arguments: &[&str]) -> Finished {
        let mut command = tool("ldapsearch");
        // The certificate is judged by clients that can be told our name.
        command.env("LDAPTLS_REQCERT", "never").args(["-LLL", "-o", "ldif-wrap=no", "-H", uri]);
        if let Some(card) = card {
            let card = self.world.card(card);
            command.env("LDAPTLS_CERT", &card.certificate).env("LDAPTLS_KEY", &card.key);
        }
        run(command.args(arguments), b"")
    }
}

/// Puts one mailbox of hospital A on the red list: it is nobody's business.
fn hide(world: &World, whose: &str) {
    let path = world.folder().join(Place::A.folder()).join("registry.toml");
    let registry = std::fs::read_to_string(&path).unwrap();
    let at = registry.find(&world.address(whose)).expect("the mailbox");
    let end = registry[at..].find("[[").map_or(registry.len(), |end| at + end);
    std::fs::write(&path, format!("{}red_list = true\n{}", &registry[..end], &registry[end..])).unwrap();
}

/// How an address is written for clients.
#[must_use]
pub fn ldaps(at: SocketAddr) -> String {
    format!("ldaps://{at}")
}

/// LDAP by hand.
#[derive(Debug)]
pub struct Client {
    wire: SslStream<TcpStream>,
}

impl Client {
    /// A TLS connection that has said nothing yet.
    #[must_use]
    #[track_caller]
    pub fn connect(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect(to).unwrap())
    }

    /// The same over this connection.
    #[must_use]
    #[track_caller]
    pub fn over(stream: TcpStream) -> Self {
        Self::made(stream, |_| {})
    }

    /// A TLS connection that shows this certificate.
    #[must_use]
    #[track_caller]
    pub fn showing(identity: &IdentityFiles, to: SocketAddr) -> Self {
        Self::made(TcpStream::connect(to).unwrap(), |builder| {
            builder.set_certificate_chain_file(&identity.certificate).unwrap();
            builder.set_private_key_file(&identity.key, SslFiletype::PEM).unwrap();
        })
    }

    #[track_caller]
    fn made(stream: TcpStream, with: impl FnOnce(&mut SslConnectorBuilder)) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        with(&mut builder);
        Self { wire: builder.build().connect("mss.test", stream).unwrap() }
    }

    /// Sends these octets; false once the other side takes no more.
    pub fn send(&mut self, octets: &[u8]) -> bool {
        self.wire.write_all(octets).is_ok()
    }

    /// One message, without its own head.
    #[track_caller]
    pub fn message(&mut self) -> Vec<u8> {
        let mut head = [0; 2];
        self.wire.read_exact(&mut head).unwrap();
        let mut digits = vec![0; if head[1] < 0x80 { 0 } else { usize::from(head[1] & 0x7f) }];
        self.wire.read_exact(&mut digits).unwrap();
        let long = digits.iter().fold(0, |sum, digit| sum * 256 + usize::from(*digit));
        let mut content = vec![0; if digits.is_empty() { usize::from(head[1]) } else { long }];
        self.wire.read_exact(&mut content).unwrap();
        content
    }

    /// Everything until the other side closes.
    #[must_use]
    pub fn rest(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // A connection that is cut has said what it had to say.
        let _ = self.wire.read_to_end(&mut all);
        all
    }

    /// The entries of one search, and its result code.
    #[track_caller]
    pub fn entries(&mut self) -> (Vec<Vec<u8>>, u8) {
        let mut entries = Vec::new();
        loop {
            let message = self.message();
            // The message's number is of one octet in all that is asked here.
            match message[3] {
                0x64 => entries.push(message),
                0x65 => return (entries, code(&message)),
                tag => panic!("no answer to a search: {tag:#x}"),
            }
        }
    }
}

/// The result code of a message that ends an operation.
#[must_use]
#[track_caller]
pub fn code(message: &[u8]) -> u8 {
    let at = message.windows(2).position(|octets| octets == [0x0a, 1]).expect("a result code");
    message[at + 2]
}

/// What an entry says: names of attributes with their values, as far as those are text.
#[must_use]
#[track_caller]
pub fn attributes(entry: &[u8]) -> Vec<(String, Vec<String>)> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    // The message's number, then the operation; in it the entry's name, then its attributes.
    let operation = split(&entry[3..]).0;
    let name = split(operation);
    elements(split(name.1).0)
        .into_iter()
        .map(|attribute| {
            let parts = elements(attribute);
            (text(parts[0]), elements(parts[1]).into_iter().map(text).collect())
        })
        .collect()
}

/// The contents of elements one after the other.
fn elements(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let (content, rest) = split(octets);
        found.push(content);
        octets = rest;
    }
    found
}

/// The content of the first element, and what is behind it.
fn split(octets: &[u8]) -> (&[u8], &[u8]) {
    let (short, long) = (usize::from(octets[1]), if octets[1] < 0x80 { 0 } else { usize::from(octets[1] & 0x7f) });
    let said = octets[2..2 + long].iter().fold(0, |sum, digit| sum * 256 + usize::from(*digit));
    octets[2 + long..].split_at(if long == 0 { short } else { said })
}

/// An element with this content; its length in the long form, which OpenLDAP's and Mozilla's clients use, too.
#[must_use]
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], content].concat()
}

/// A whole message.
#[must_use]
pub fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id], operation].concat())
}

/// A bind without name or password.
#[must_use]
pub fn anonymous() -> Vec<u8> {
    message(1, &element(0x60, &[2, 1, 3, 4, 0, 0x80, 0]))
}

/// A bind with a name and a password.
#[must_use]
pub fn simple(name: &str, password: &str) -> Vec<u8> {
    let who = [vec![2, 1, 3], element(4, name.as_bytes()), element(0x80, password.as_bytes())];
    message(1, &element(0x60, &who.concat()))
}

/// A bind as whom the connection's certificate names.
#[must_use]
pub fn external() -> Vec<u8> {
    let how = element(0xa3, &element(4, b"EXTERNAL"));
    message(1, &element(0x60, &[vec![2, 1, 3, 4, 0], how].concat()))
}

/// Message 9: a search below [`BASE`] with this filter, for no more entries than that, and all attributes of them.
#[must_use]
pub fn search(filter: &[u8], most: u8) -> Vec<u8> {
    let request = [
        element(4, BASE.as_bytes()),
        vec![0x0a, 1, 2, 0x0a, 1, 0, 2, 1, most, 2, 1, 0, 1, 1, 0],
        filter.to_vec(),
        element(0x30, b""),
    ];
    message(9, &element(0x63, &request.concat()))
}

/// A filter (RFC 4515) as octets: `&`, `|`, `!`, presence, equality and substrings, nothing escaped. Mozilla's clients
/// leave empty pieces out, and so does this.
#[must_use]
#[track_caller]
pub fn filter(text: &str) -> Vec<u8> {
    let mut rest = text;
    let octets = read_filter(&mut rest);
    assert!(rest.is_empty(), "{rest:?} is left of {text}");
    octets
}

#[track_caller]
fn read_filter(rest: &mut &str) -> Vec<u8> {
    *rest = rest.strip_prefix('(').unwrap_or_else(|| panic!("no filter: {rest}"));
    let list = |tag, rest: &mut &str| {
        *rest = &rest[1..];
        let mut parts = Vec::new();
        while rest.starts_with('(') {
            parts.extend(read_filter(rest));
        }
        element(tag, &parts)
    };
    let octets = match rest.as_bytes()[0] {
        b'&' => list(0xa0, rest),
        b'|' => list(0xa1, rest),
        b'!' => list(0xa2, rest),
        _ => {
            let end = rest.find(')').expect("the end of a part");
            let (name, value) = rest[..end].split_once('=').expect("a part");
            *rest = &rest[end..];
            leaf(name, value)
        }
    };
    *rest = rest.strip_prefix(')').unwrap_or_else(|| panic!("no end: {rest}"));
    octets
}

fn leaf(name: &str, value: &str) -> Vec<u8> {
    if value == "*" {
        return element(0x87, name.as_bytes());
    }
    let pieces: Vec<&str> = value.split('*').collect();
    let name = element(4, name.as_bytes());
    let [whole] = pieces[..] else {
        let last = pieces.len() - 1;
        let place = |at| {
            if at == 0 {
                0x80
            } else if at == last {
                0x82
            } else {
                0x81
            }
        };
        let said = pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty());
        let pieces: Vec<u8> = said.flat_map(|(at, piece)| element(place(at), piece.as_bytes())).collect();
        return element(0xa4, &[name, element(0x30, &pieces)].concat());
    };
    element(0xa3, &[name, element(4, whole.as_bytes())].concat())
}

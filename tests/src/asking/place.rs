//! A hospital whose directory answers over every door, and lets one client ask as much as it likes.

use std::net::SocketAddr;
use std::path::Path;

use sceau::demo::cast::Place::A;

use crate::place::free_endpoint;
use crate::world::World;

/// Where hospital A's directory answers.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// The page at `/annuaire`, FHIR at `/fhir`.
    pub http: SocketAddr,
    /// LDAP with TLS at once, for anybody.
    pub ldap: SocketAddr,
}

impl Doors {
    /// The base of the LDAP directory.
    pub const BASE: &str = "dc=annuaire";

    /// Writes both faces into hospital A's configuration, without the bounds that one address usually has; with these
    /// data in place of the demonstration's.
    #[must_use]
    pub fn open(world: &World, data: Option<&Path>) -> Self {
        let doors = Self { http: free_endpoint(), ldap: free_endpoint() };
        if let Some(data) = data {
            let own = format!("data = {:?}", data.display().to_string());
            world.edit(A, "sceau.toml", "data = \"../annuaire-data\"", &own);
        }
        let Self { http, ldap } = doors;
        let much = 1_000_000_000;
        let text = format!(
            "[http]\nlisten = \"{http}\"\norigin = \"https://{http}\"\npaths = {{ web = \"/annuaire\" }}\n\
             limits = {{ requests_per_minute = {much}, answers_per_hour = {much}, connection = \"10h\" }}\n\
             [ldap]\nanonymous = true\n\
             limits = {{ searches = {much}, entries_an_hour = {much}, idle = \"1h\", session = \"10h\" }}\n\
             [[ldap.listener]]\naddress = \"{ldap}\"\n"
        );
        world.append(A, "sceau.toml", &text);
        doors
    }
}

//! Where monitoring asks how the gateway is.

use std::net::SocketAddr;

use serde::Deserialize;

/// The pages for monitoring: `/live`, `/ready`, `/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Address and port, on this machine only; without it there are no such pages.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

impl Health {
    /// What is wrong with it.
    pub(super) fn faults(&self, found: &mut Vec<String>) {
        if let Some(at) = self.listen.filter(|at| !at.ip().is_loopback()) {
            found.push(format!(
                "health.listen {at}: these pages ask nobody who he is, so they are for this machine only (127.0.0.1 or \
                 [::1]); let its monitoring agent carry them further"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_ask() {
        let faults = |listen: &str| {
            let mut found = Vec::new();
            Health { listen: Some(listen.parse().unwrap()) }.faults(&mut found);
            found.len()
        };
        assert_eq!(["127.0.0.1:9125", "[::1]:9125"].map(faults), [0, 0]);
        assert_eq!(["0.0.0.0:9125", "10.0.0.1:9125", "[::]:9125"].map(faults), [1, 1, 1]);
    }
}

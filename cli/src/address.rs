//! `HOST:PORT`, as it is written on a command line.

use crate::problem::Problem;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// The host of `HOST:PORT`, without the brackets of an IPv6 address.
pub(crate) fn host(text: &str) -> Result<&str, Problem> {
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| Problem::usage(format!("{text} has no port; write it as HOST:PORT")))?;
    if host.is_empty() {
        return Err(Problem::usage(format!(
            "{text} has no host; for every address of this machine write 0.0.0.0:{port} or [::]:{port}"
        )));
    }
    if port.parse::<u16>().is_err() {
        return Err(Problem::usage(format!(
            "{text} has no port after its last colon; write it as HOST:PORT, with a port from 0 to 65535"
        )));
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match bare {
        Some(address) => Ok(address),
        None if host.contains(':') => Err(Problem::usage(format!(
            "write an IPv6 address in brackets: [{host}]:{port}"
        ))),
        None => Ok(host),
    }
}

/// The addresses that `HOST:PORT` stands for; at least one.
pub(crate) fn resolve(text: &str) -> Result<Vec<SocketAddr>, Problem> {
    host(text)?;
    let unknown = |reason: String| Problem::failure(format!("{text} has no address{reason}"));
    let addresses: Vec<_> = text
        .to_socket_addrs()
        .map_err(|error| unknown(format!(" ({error}); check the name")))?
        .collect();
    match addresses.is_empty() {
        true => Err(unknown("; check the name".into())),
        false => Ok(addresses),
    }
}

/// The result of `attempt` for the first address that it can use; otherwise its last error.
pub(crate) fn first_of<T>(
    addresses: &[SocketAddr],
    mut attempt: impl FnMut(SocketAddr) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let mut refusal = Problem::failure("there is no address");
    for &address in addresses {
        match attempt(address) {
            Ok(made) => return Ok(made),
            Err(problem) => refusal = problem,
        }
    }
    Err(refusal)
}

/// RFC 4007 §11.2: a zone has a meaning on this host only, so neither a certificate nor a server
/// name has one.
pub(crate) fn without_zone(name: &str) -> &str {
    match name.split_once('%') {
        Some((address, _)) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_before_its_port() {
        assert_eq!(host("localhost:4433").unwrap(), "localhost");
        assert_eq!(host("[::1]:4433").unwrap(), "::1");
        assert_eq!(host("127.0.0.1:1").unwrap(), "127.0.0.1");
        assert!(host("localhost").is_err());
        assert!(
            host("::1:4433")
                .unwrap_err()
                .to_string()
                .contains("[::1]:4433")
        );
        assert!(host(":4433").is_err());
    }

    #[test]
    fn the_first_address_that_can_be_used_is_used() {
        let addresses = resolve("127.0.0.1:1").unwrap();
        let both = [addresses[0], "127.0.0.1:2".parse().unwrap()];
        let second = |address: SocketAddr| match address.port() {
            2 => Ok(address),
            port => Err(Problem::failure(port)),
        };
        assert_eq!(first_of(&both, second).unwrap().port(), 2);
        assert!(first_of(&both[..1], second).is_err());
    }

    #[test]
    fn the_zone_of_a_link_local_address_is_no_part_of_the_server_name() {
        assert_eq!(without_zone("fe80::1%eth0"), "fe80::1");
        assert_eq!(without_zone("fe80::1"), "fe80::1");
        assert_eq!(without_zone("server.test"), "server.test");
        assert_eq!(without_zone("a%b"), "a%b");
    }
}

//! Addresses, and the client behind trusted proxies, as `lines/client_address.py` finds it.
#![forbid(unsafe_code)]

use std::net::IpAddr;

/// A network whose `X-Forwarded-For` is believed.
pub struct Network {
    v6: bool,
    bits: u128,
    mask: u128,
}

impl Network {
    /// From its packed address and its prefix length; None for an invalid number of bytes or bits.
    pub fn new(packed: &[u8], prefix: u32) -> Option<Self> {
        let (v6, width) = match packed.len() {
            4 => (false, 32),
            16 => (true, 128),
            _ => return None,
        };
        let bits = packed.iter().fold(0, |bits, &byte| bits << 8 | u128::from(byte));
        let mask = u128::MAX.checked_shl(width - prefix.min(width)).unwrap_or(0);
        (prefix <= width).then_some(Network { v6, bits, mask })
    }

    fn holds(&self, address: IpAddr) -> bool {
        let bits = match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            IpAddr::V6(v6) => u128::from(v6),
        };
        address.is_ipv6() == self.v6 && bits & self.mask == self.bits
    }
}

/// An address; IPv6 in any form, but without a scope.
#[inline]
pub fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The address of an entry, which may have a port, and no scope.
fn entry_address(entry: &[u8]) -> Option<IpAddr> {
    if entry.contains(&b'%') {
        return None;
    }
    let colon = |&c: &u8| c == b':';
    let host = if let Some(rest) = entry.strip_prefix(b"[") {
        rest.split(|&c| c == b']').next()?
    } else if entry.iter().filter(|c| colon(c)).count() == 1 {
        entry.split(colon).next()?
    } else {
        entry
    };
    address(host).map(unmapped)
}

/// The client's address if it is not the peer. An outer None means that Python must read the header.
pub fn client(networks: &[Network], peer: IpAddr, forwarded_for: &[u8]) -> Option<Option<IpAddr>> {
    let trusts = |address| networks.iter().any(|network| network.holds(address));
    if !trusts(unmapped(peer)) {
        return Some(None);
    }
    if forwarded_for.iter().any(|&c| c == b'\\' || c >= 0x7f) {
        return None;
    }
    let mut client = None;
    for entry in forwarded_for.rsplit(|&c| c == b',') {
        let Some(address) = entry_address(entry.trim_ascii()) else {
            break;
        };
        client = Some(address);
        if !trusts(address) {
            break;
        }
    }
    Some(client)
}

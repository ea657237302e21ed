//! Reads a record: its line, the client behind trusted proxies, and the record's stream.
#![forbid(unsafe_code)]

use std::io::Write;

use crate::clock::Clock;
use crate::envelope::{self, Envelope};
use crate::identity;
use crate::line::{self, Line, Widths, CLIENT, FORWARDED, PROXY};
use crate::peer::{self, Network};

/// Longest host name, bytes; it then always fits as characters.
const HOST: usize = 64;
/// How many streams (host, input and format) are remembered.
const STREAMS: usize = 4096;

/// How records are read.
pub struct Settings {
    pub widths: Widths,
    pub combined: bool,
    pub json: bool,
    pub proxies: Vec<Network>,
}

/// What lines of the same host, input and format have in common.
pub struct Stream {
    pub host: Vec<u8>,
    input: Vec<u8>,
    pub format: Vec<u8>,
    origin: Vec<u8>,
    /// The first stream of the same host: roll-ups do not distinguish inputs and formats.
    pub of_host: usize,
}

/// Buffers for values that are not slices of the record: a message with resolved escapes, and the client.
#[derive(Default)]
pub struct Room {
    message: Vec<u8>,
    client: Vec<u8>,
}

/// A record that was read.
pub struct Record<'a> {
    pub line: Line<'a>,
    pub stream: usize,
    offset: &'a [u8],
    message: &'a [u8],
}

/// Reads records.
pub struct Records {
    settings: Settings,
    pub clock: Clock,
    pub streams: Vec<Stream>,
    last: usize,
}

impl Records {
    pub fn new(settings: Settings) -> Self {
        Records { settings, clock: Clock::default(), streams: Vec::new(), last: 0 }
    }

    /// Forget the streams if there are many; only between two batches, because records refer to them by number.
    pub fn forget(&mut self) {
        if self.streams.len() > STREAMS {
            self.streams.clear();
        }
    }

    /// Read a record; None if it is unusual.
    pub fn read<'a>(&mut self, value: &'a [u8], room: &'a mut Room) -> Option<Record<'a>> {
        let Room { message, client } = room;
        let envelope = envelope::read(value, message)?;
        let message: &'a [u8] = envelope.message.unwrap_or(message);
        let mut line = match envelope.format {
            b"combined" if self.settings.combined => {
                line::combined(message, &self.settings.widths, &mut self.clock)?
            }
            b"json" if self.settings.json => line::json(message, &self.settings.widths)?,
            _ => return None,
        };
        if envelope.host.len() > HOST {
            return None;
        }
        if !self.settings.proxies.is_empty() && !line.cells[FORWARDED].is_empty() {
            let peer = line.cells[CLIENT];
            if let Some(found) = peer::client(&self.settings.proxies, peer::address(peer)?, line.cells[FORWARDED])? {
                client.clear();
                write!(client, "{found}").ok()?;
                if client != peer {
                    line.cells[CLIENT] = client;
                    line.cells[PROXY] = peer;
                }
            }
        }
        let stream = self.stream(&envelope);
        Some(Record { line, stream, offset: envelope.offset, message })
    }

    /// Return the stream of a record, which in most cases is that of the previous one.
    fn stream(&mut self, envelope: &Envelope<'_>) -> usize {
        let same = |s: &Stream| s.host == envelope.host && s.input == envelope.input && s.format == envelope.format;
        if !self.streams.get(self.last).is_some_and(same) {
            self.last = self.streams.iter().position(same).unwrap_or_else(|| {
                let (host, number) = (envelope.host, self.streams.len());
                self.streams.push(Stream {
                    host: host.to_vec(),
                    input: envelope.input.to_vec(),
                    format: envelope.format.to_vec(),
                    origin: identity::origin(host, envelope.input),
                    of_host: self.streams.iter().position(|s| s.host == host).unwrap_or(number),
                });
                number
            });
        }
        self.last
    }

    /// Append the input of the line's identity.
    pub fn identify(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.streams[record.stream].origin);
        out.extend_from_slice(record.offset);
        out.push(b':');
        out.extend_from_slice(record.message);
    }
}

//! Reads the shipper's records as `lines/record.py` does; records of inputs with several logs are left to Python.
#![forbid(unsafe_code)]

use crate::json::{once, Cursor};

#[derive(Default)]
pub struct Envelope<'a> {
    pub host: &'a [u8],
    pub offset: &'a [u8],
    pub format: &'a [u8],
    pub input: &'a [u8],
    /// None if it has escapes; it is in the scratch buffer then.
    pub message: Option<&'a [u8]>,
}

/// All required members, each once.
const WHOLE: u32 = 0xff;

pub fn read<'a>(value: &'a [u8], scratch: &mut Vec<u8>) -> Option<Envelope<'a>> {
    if !value.is_ascii() {
        std::str::from_utf8(value).ok()?;
    }
    let mut found = Envelope::default();
    let mut seen = 0;
    let mut cursor = Cursor::new(value);
    cursor.object(|c, name| {
        match name {
            b"message" => {
                once(&mut seen, 0)?;
                found.message = c.text(scratch)?;
            }
            b"host" => {
                once(&mut seen, 1)?;
                c.object(|c, name| match name {
                    b"name" => {
                        once(&mut seen, 2)?;
                        found.host = c.plain()?;
                        Some(())
                    }
                    _ => c.skip(),
                })?;
            }
            b"log" => {
                once(&mut seen, 3)?;
                c.object(|c, name| match name {
                    b"offset" => {
                        once(&mut seen, 4)?;
                        found.offset = c.whole()?;
                        Some(())
                    }
                    _ => c.skip(),
                })?;
            }
            b"fields" => {
                once(&mut seen, 5)?;
                c.object(|c, name| {
                    match name {
                        b"log_format" => {
                            once(&mut seen, 6)?;
                            found.format = c.plain()?;
                        }
                        b"log_input" => {
                            once(&mut seen, 7)?;
                            found.input = c.plain()?;
                        }
                        b"log_files" => return c.plain()?.is_empty().then_some(()),
                        _ => c.skip()?,
                    }
                    Some(())
                })?;
            }
            _ => c.skip()?,
        }
        Some(())
    })?;
    (seen == WHOLE && cursor.at_end()).then_some(found)
}

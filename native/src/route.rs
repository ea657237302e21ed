//! Classes of routes, as in `store/rollup.py`.
#![forbid(unsafe_code)]

pub const ROUTES: [&str; 7] = ["health", "api", "static", "script", "root", "page", "other"];
const HEALTH: u8 = 0;
const API: u8 = 1;
const STATIC: u8 = 2;
const SCRIPT: u8 = 3;
const ROOT: u8 = 4;
const PAGE: u8 = 5;
const OTHER: u8 = 6;

/// The class, as an index of [`ROUTES`].
pub fn kind(uri: &[u8]) -> u8 {
    let path = uri.split(|&c| c == b'?').next().unwrap_or(b"");
    if path.first() != Some(&b'/') {
        return OTHER;
    }
    let mut low = [0; 16];
    let first = lower(path[1..].split(|&c| c == b'/').next().unwrap_or(b""), &mut low);
    match first {
        b"health" | b"healthz" | b"livez" | b"readyz" | b"ping" | b"status" | b"nginx-health" | b"nginx-status" => {
            return HEALTH
        }
        b"api" | b"v1" | b"v2" | b"v3" | b"graphql" | b"rest" | b"rpc" => return API,
        _ => {}
    }
    let cgi = first == b"cgi-bin";
    let end = path.iter().rposition(|&c| c == b'.' || c == b'/').filter(|&at| path[at] == b'.');
    if let Some(dot) = end {
        match lower(&path[dot + 1..], &mut low) {
            b"css" | b"js" | b"mjs" | b"map" | b"png" | b"jpg" | b"jpeg" | b"gif" | b"svg" | b"ico" | b"webp"
            | b"avif" | b"woff" | b"woff2" | b"ttf" | b"eot" | b"otf" | b"mp3" | b"mp4" | b"webm" | b"pdf" | b"zip"
            | b"gz" | b"txt" | b"xml" => return STATIC,
            b"php" | b"asp" | b"aspx" | b"jsp" | b"cgi" | b"pl" | b"do" => return SCRIPT,
            _ => {}
        }
    }
    match (path, cgi) {
        (b"/", _) => ROOT,
        (_, true) => SCRIPT,
        _ => PAGE,
    }
}

/// A text in lower case; empty if it is longer than any searched one. The searched ones contain only ASCII letters.
fn lower<'a>(text: &[u8], out: &'a mut [u8; 16]) -> &'a [u8] {
    if text.len() > out.len() {
        return b"";
    }
    for (to, from) in out.iter_mut().zip(text) {
        *to = from.to_ascii_lowercase();
    }
    &out[..text.len()]
}

// SPDX-License-Identifier: Apache-2.0

//! Draws a Julia set: an HTML page with two sliders, and the picture itself as
//! a PNG, made here for each request.

use std::env;
use std::f64::consts::PI;
use std::io::{self, BufWriter, Read, Write};

const WIDTH: u32 = 480;
const HEIGHT: u32 = 320;

fn crc32(chunks: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for byte in chunks.iter().flat_map(|chunk| chunk.iter()) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

fn write_chunk(out: &mut impl Write, kind: &[u8; 4], data: &[u8]) -> io::Result<()> {
    out.write_all(&(data.len() as u32).to_be_bytes())?;
    out.write_all(kind)?;
    out.write_all(data)?;
    out.write_all(&crc32(&[kind, data]).to_be_bytes())
}

/// Writes rows of RGB pixels as a PNG whose zlib stream holds stored blocks.
fn write_png(out: &mut impl Write, width: u32, height: u32, rgb: &[u8]) -> io::Result<()> {
    let mut raw = Vec::with_capacity(rgb.len() + height as usize);
    for row in rgb.chunks(width as usize * 3) {
        raw.push(0);
        raw.extend_from_slice(row);
    }
    let mut zlib = vec![0x78, 0x01];
    let mut blocks = raw.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        zlib.push(u8::from(blocks.peek().is_none()));
        zlib.extend_from_slice(&length.to_le_bytes());
        zlib.extend_from_slice(&(!length).to_le_bytes());
        zlib.extend_from_slice(block);
    }
    zlib.extend_from_slice(&adler32(&raw).to_be_bytes());

    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]); // 8 bits, RGB
    out.write_all(b"\x89PNG\r\n\x1a\n")?;
    write_chunk(out, b"IHDR", &header)?;
    write_chunk(out, b"IDAT", &zlib)?;
    write_chunk(out, b"IEND", &[])
}

fn draw(re: f64, im: f64) -> Vec<u8> {
    let mut rgb = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            let mut x = (f64::from(column) / f64::from(WIDTH) - 0.5) * 3.4;
            let mut y = (f64::from(row) / f64::from(HEIGHT) - 0.5) * 2.3;
            let mut steps = 0;
            while steps < 96 && x * x + y * y < 16.0 {
                (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
                steps += 1;
            }
            let shade = f64::from(steps) / 96.0;
            let channel = |phase: f64| (127.5 - 127.5 * ((shade * 2.6 + phase) * PI).cos()) as u8;
            rgb.extend_from_slice(&if steps == 96 {
                [18, 16, 38]
            } else {
                [channel(0.45), channel(0.18), channel(0.02)]
            });
        }
    }
    rgb
}

/// A parameter of the query, or its default when it is missing or not a number.
fn number(query: &str, name: &str, default: f64) -> f64 {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.parse::<f64>().ok())
        .filter(|value| value.is_finite())
        .map_or(default, |value| value.clamp(-2.0, 2.0))
}

fn write_page(out: &mut impl Write, re: f64, im: f64) -> io::Result<()> {
    write!(
        out,
        "Content-Type: text/html; charset=utf-8\n\n<!doctype html>\n<html lang=\"en\">\n<head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>A Julia set in Rust</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n\
         </head>\n<body>\n\
         <nav><a href=\"/\">mod_wasm</a><span>A Julia set in Rust</span></nav>\n<main>\n\
         <h1>A Julia set in Rust</h1>\n<p>Drawn for this request, sent as a PNG.</p>\n\
         <img src=\"/rust/julia.png?re={re}&amp;im={im}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         alt=\"Julia set of {re} + {im}i\">\n\
         <form action=\"/rust/\">\n\
         <label>Real part <input type=\"range\" name=\"re\" min=\"-1\" max=\"1\" step=\"0.005\" \
         value=\"{re}\" onchange=\"this.form.submit()\"></label>\n\
         <label>Imaginary part <input type=\"range\" name=\"im\" min=\"-1\" max=\"1\" step=\"0.005\" \
         value=\"{im}\" onchange=\"this.form.submit()\"></label>\n<button>Draw</button></form>\n\
         </main>\n</body>\n</html>\n"
    )
}

fn main() -> io::Result<()> {
    let query = env::var("QUERY_STRING").unwrap_or_default();
    let path = env::var("PATH_INFO").unwrap_or_default();
    let (re, im) = (number(&query, "re", -0.8), number(&query, "im", 0.156));
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    match path.as_str() {
        "/julia.png" => {
            let mut png = Vec::new();
            write_png(&mut png, WIDTH, HEIGHT, &draw(re, im))?;
            write!(out, "Content-Type: image/png\nContent-Length: {}\n\n", png.len())?;
            out.write_all(&png)?;
        }
        "/echo" => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body)?;
            write!(out, "Content-Type: application/octet-stream\n\n")?;
            out.write_all(&body)?;
        }
        "" | "/" => write_page(&mut out, re, im)?,
        _ => write!(out, "Status: 404 Not Found\nContent-Type: text/plain\n\nNo such page.\n")?,
    }
    out.flush()
}

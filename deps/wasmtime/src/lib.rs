//! Re-exports Wasmtime's C API, so that its symbols end up in this crate's
//! static library. There is no code of our own here.

pub use wasmtime_c_api::*;

//! Prepares modules for being rewound: brought back, after a run, to what they
//! were when they were instantiated, in place of being instantiated anew.
//!
//! What an instance keeps between runs is its memory, its mutable globals, its
//! tables, and which of its passive segments it has dropped. A host can restore
//! the first two, once they are exported. So modules are prepared that never
//! change the others.

use wasmparser::{
    CompositeInnerType, Encoding, Operator, Parser, Payload, TypeRef, ValType,
};

/// What the memory is exported as; mutable globals are `GLOBAL` and a number, from 0 on.
const MEMORY: &str = "wasmrt:memory";
const GLOBAL: &str = "wasmrt:global:";
const RESERVED: &str = "wasmrt:";

/// The module with its state exported; `None` where the module is no such
/// module, or none at all.
pub fn with_state_exported(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut memories = 0;
    let mut globals = 0;
    let mut mutable = Vec::new();
    let mut has_exports = false;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::Version { encoding: Encoding::Component, .. } => return None,
            Payload::TypeSection(section) => {
                for group in section {
                    for sub_type in group.ok()?.types() {
                        if !matches!(sub_type.composite_type.inner, CompositeInnerType::Func(_)) {
                            return None;
                        }
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if !matches!(import.ok()?.ty, TypeRef::Func(_)) {
                        return None;
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    if memory.ok()?.shared {
                        return None;
                    }
                    memories += 1;
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let ty = global.ok()?.ty;
                    if ty.mutable {
                        if !matches!(
                            ty.content_type,
                            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
                        ) {
                            return None;
                        }
                        mutable.push(globals);
                    }
                    globals += 1;
                }
            }
            Payload::ExportSection(section) => {
                has_exports = true;
                for export in section {
                    if export.ok()?.name.starts_with(RESERVED) {
                        return None;
                    }
                }
            }
            // It runs when an instance is made, and may do anything then.
            Payload::StartSection { .. } => return None,
            Payload::CodeSectionEntry(body) => {
                let mut operators = body.get_operators_reader().ok()?;
                while !operators.eof() {
                    if changes_more(&operators.read().ok()?) {
                        return None;
                    }
                }
            }
            _ => {}
        }
    }
    if memories != 1 || !has_exports {
        return None;
    }

    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ExportSection(section) => {
                let mut exports = wasm_encoder::ExportSection::new();
                for export in section {
                    let export = export.ok()?;
                    exports.export(export.name, crate::kind(export.kind), export.index);
                }
                exports.export(MEMORY, wasm_encoder::ExportKind::Memory, 0);
                for (number, index) in mutable.iter().enumerate() {
                    let name = format!("{GLOBAL}{number}");
                    exports.export(&name, wasm_encoder::ExportKind::Global, *index);
                }
                module.section(&exports);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&wasm_encoder::RawSection { id, data: &wasm[range] });
                }
            }
        }
    }
    Some(module.finish())
}

/// Whether an instruction may change what is neither memory nor a global.
fn changes_more(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. }
    )
}

//! Prepares modules for being rewound: brought back, after a run, to what they
//! were when they were instantiated, in place of being instantiated anew.
//!
//! What an instance keeps between runs is its memory, its mutable globals, its
//! tables, and which of its passive segments it has dropped. A host can restore
//! the first, once it is exported, and the second restore themselves where a run
//! begins. So modules are prepared that never change the others.

use wasm_encoder::{Encode, ExportKind, Function, Instruction, RawSection, SectionId};
use wasmparser::{
    CompositeInnerType, Encoding, ExternalKind, Operator, Parser, Payload, TypeRef, ValType,
};

/// What the memory is exported as.
const MEMORY: &str = "wasmrt:memory";
/// Before the name of an exported function `() -> ()`: the same, after the mutable globals have got
/// their first values again. A host that set them would cross the engine's API for each.
const RUN: &str = "wasmrt:run:";
const RESERVED: &str = "wasmrt:";

/// Modules with more such functions, or with a longer list of values, are not prepared.
const MOST_ENTRIES: usize = 1000;
const LONGEST_RESET: usize = 64 << 10;

/// The opcode `end`.
const END: u8 = 0x0b;

/// The module with its state exported; `None` where the module is no such
/// module, or none at all.
pub fn with_state_exported(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut memories = 0;
    let mut globals = 0;
    // By index: whether a type is `() -> ()`, and the types of functions.
    let mut is_plain = Vec::new();
    let mut functions = Vec::new();
    let mut reset = Vec::new();
    let mut entries = Vec::new();
    let mut has_code = false;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::Version { encoding: Encoding::Component, .. } => return None,
            Payload::TypeSection(section) => {
                for group in section {
                    for sub_type in group.ok()?.types() {
                        let CompositeInnerType::Func(ty) = &sub_type.composite_type.inner else {
                            return None;
                        };
                        is_plain.push(ty.params().is_empty() && ty.results().is_empty());
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let TypeRef::Func(ty) = import.ok()?.ty else {
                        return None;
                    };
                    functions.push(ty);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.push(ty.ok()?);
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
                    let global = global.ok()?;
                    if global.ty.mutable {
                        if !matches!(
                            global.ty.content_type,
                            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
                        ) {
                            return None;
                        }
                        // What a constant expression may say, code may say as well.
                        let value = &wasm[global.init_expr.get_binary_reader().range()];
                        reset.extend(value.strip_suffix(&[END])?);
                        Instruction::GlobalSet(globals).encode(&mut reset);
                    }
                    globals += 1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    if export.name.starts_with(RESERVED) {
                        return None;
                    }
                    if export.kind == ExternalKind::Func {
                        let ty = *functions.get(export.index as usize)?;
                        if *is_plain.get(ty as usize)? {
                            entries.push((export.name, export.index, ty));
                        }
                    }
                }
            }
            // It runs when an instance is made, and may do anything then.
            Payload::StartSection { .. } => return None,
            Payload::CodeSectionEntry(body) => {
                has_code = true;
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
    if memories != 1 || !has_code || entries.len() > MOST_ENTRIES || reset.len() > LONGEST_RESET {
        return None;
    }
    let (_, _, plain) = *entries.first()?;

    // What is added: a function that sets the globals, and for each entry one that goes on into it by
    // a tail call, so that backtraces are as without it.
    let first_added = functions.len() as u32;
    let mut types = Vec::new();
    let mut bodies = Vec::new();
    plain.encode(&mut types);
    let mut body = Function::new([]);
    body.raw(reset).instructions().end();
    body.encode(&mut bodies);
    for (_, index, ty) in &entries {
        ty.encode(&mut types);
        let mut body = Function::new([]);
        body.instructions().call(first_added).return_call(*index).end();
        body.encode(&mut bodies);
    }
    let added = entries.len() as u32 + 1;

    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::FunctionSection(section) => {
                let data = &crate::with_more(&wasm[section.range()], added, &types).ok()?;
                module.section(&RawSection { id: SectionId::Function as u8, data });
            }
            Payload::ExportSection(section) => {
                let mut exports = wasm_encoder::ExportSection::new();
                for export in section {
                    let export = export.ok()?;
                    exports.export(export.name, crate::kind(export.kind), export.index);
                }
                exports.export(MEMORY, ExportKind::Memory, 0);
                for ((name, _, _), index) in entries.iter().zip(first_added + 1..) {
                    exports.export(&format!("{RUN}{name}"), ExportKind::Func, index);
                }
                module.section(&exports);
            }
            Payload::CodeSectionStart { range, .. } => {
                let data = &crate::with_more(&wasm[range], added, &bodies).ok()?;
                module.section(&RawSection { id: SectionId::Code as u8, data });
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&RawSection { id, data: &wasm[range] });
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

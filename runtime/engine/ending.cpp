// SPDX-License-Identifier: Apache-2.0
#include "engine/ending.h"

#include <string_view>

#include "support/text.h"
#include "wasm_runtime.h"

namespace wasmrt {
namespace {

const char* trap_text(wasmtime_trap_code_t code) {
  switch (code) {
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW:
      return "stack overflow";
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
      return "out of bounds memory access";
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
      return "out of bounds table access";
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
      return "indirect call to null";
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
      return "indirect call type mismatch";
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
      return "integer overflow";
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
      return "integer divide by zero";
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
      return "invalid conversion to integer";
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
      return "unreachable instruction executed";
    case WASMTIME_TRAP_CODE_NULL_REFERENCE:
      return "null reference";
    case WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE:
      return "allocation too large";
    default:
      return nullptr;
  }
}

std::string backtrace_text(const wasm_frame_vec_t& frames) {
  std::string text;
  for (size_t i = 0; i < frames.size && text.size() < sizeof(wasmrt_result::backtrace); ++i) {
    if (i > 0) text += " <- ";
    const wasm_name_t* name = wasmtime_frame_func_name(frames.data[i]);
    if (name != nullptr) {
      text += printable({name->data, name->size}, 200);
    } else {
      text += "function " + std::to_string(wasm_frame_func_index(frames.data[i]));
    }
  }
  return text;
}

}  // namespace

std::string Ending::text() const {
  wasmtime_trap_code_t code = 0;
  if (trap && wasmtime_trap_code(trap.get(), &code)) {
    if (const char* known = trap_text(code)) return known;
  }
  if (error) return error_text(error.get());
  wasm_message_t message;
  wasm_trap_message(trap.get(), &message);
  std::string_view raw(message.data, message.size);
  std::string text = printable(raw.substr(0, raw.find_first_of(std::string_view("\n\0", 2))));
  wasm_byte_vec_delete(&message);
  return text;
}

bool Ending::is_stack_overflow() const {
  wasmtime_trap_code_t code = 0;
  return trap && wasmtime_trap_code(trap.get(), &code) &&
         code == WASMTIME_TRAP_CODE_STACK_OVERFLOW;
}

std::string Ending::backtrace() const {
  wasm_frame_vec_t frames;
  if (trap) {
    wasm_trap_trace(trap.get(), &frames);
  } else {
    wasmtime_error_wasm_trace(error.get(), &frames);
  }
  std::string text = backtrace_text(frames);
  wasm_frame_vec_delete(&frames);
  return text;
}

}  // namespace wasmrt

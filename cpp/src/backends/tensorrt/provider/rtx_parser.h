#pragma once

namespace cardiacseg::tensorrt {

/// TensorRT-RTX's parser opens `libtensorrt_rtx.so`, by this name and first of all beside itself, when it meets a
/// plugin, and where there is none it ends the process: so it is in the pip package, whose library is called
/// `libtensorrt_rtx.so.1` alone. `parser` and `library` are the opened ones. Gives back `parser` where that name is
/// found, else a copy of it that was opened in a temporary folder with a link of that name; the folder goes when the
/// process ends. Throws Error(backend).
void* parser_that_finds(void* parser, void* library);

}  // namespace cardiacseg::tensorrt

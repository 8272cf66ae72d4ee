/* SPDX-License-Identifier: Apache-2.0 */

/**
 * @file  wasm_runtime.h
 * @brief libwasm_runtime: runs WebAssembly command modules (WASI preview 1)
 *        inside a server process.
 *
 * This is the library's only door. It is plain C89 plus <stdint.h>, it has no
 * type of any web server and none of the engine behind it, and it stays
 * binary compatible within one WASMRT_ABI_VERSION: structures that a caller
 * fills start with their own size, so that fields can be added at the end.
 *
 * The objects, from long-lived to short-lived:
 *
 *   wasmrt_image    a compiled module on disk (or in memory), found through the
 *                   cache. Needs no engine: made in the parent, kept over fork.
 *   wasmrt_engine   one a process, created after the last fork.
 *   wasmrt_module   an image loaded into an engine.
 *   wasmrt_command  a module with everything that is the same for each of its
 *                   runs: arguments, environment, directories, limits.
 *   wasmrt_run()    one run of a command, in a fresh instance, on the calling
 *                   thread. Nothing of a run is visible to the next.
 *
 * Fork rule: wasmrt_engine_create() installs signal handlers and starts a
 * thread. Never call it in a process that forks workers afterwards; all other
 * functions that take no engine are safe there.
 *
 * Threads: an engine, a module and a command may be used by any number of
 * threads at once. Images may be read by several threads.
 *
 * Errors: a function that can fail returns a wasmrt_status and, where it takes
 * a wasmrt_error, writes there a sentence that says what is wrong and what to
 * do. How a guest ended is data (wasmrt_outcome), never a wasmrt_status.
 *
 * No function throws, exits the process, or writes to the process's own
 * standard streams.
 */

#ifndef WASM_RUNTIME_H
#define WASM_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WASMRT_API __attribute__((visibility("default")))
#else
#define WASMRT_API
#endif

/** Raised when a change breaks callers built against an older header. */
#define WASMRT_ABI_VERSION 1

typedef struct wasmrt_image wasmrt_image;
typedef struct wasmrt_engine wasmrt_engine;
typedef struct wasmrt_module wasmrt_module;
typedef struct wasmrt_command wasmrt_command;

/** What came of a call. */
typedef enum wasmrt_status {
    WASMRT_OK = 0,
    WASMRT_INVALID,     /**< an argument, a module or a file is not valid */
    WASMRT_NOT_FOUND,   /**< a file or an export does not exist */
    WASMRT_IO,          /**< the operating system refused */
    WASMRT_RESOURCES,   /**< memory, address space, descriptors or time ran out */
    WASMRT_BUSY         /**< as many instances run as are allowed */
} wasmrt_status;

/** Where a function explains a failure. Always NUL-terminated, UTF-8 with
 *  control characters escaped, one line. */
typedef struct wasmrt_error {
    char message[1024];
} wasmrt_error;

/** @return WASMRT_ABI_VERSION of the library that was loaded. */
WASMRT_API int wasmrt_abi_version(void);

/** @return the library's version, such as "1.0.0". */
WASMRT_API const char *wasmrt_version(void);

/** @return the engine's name and version, such as "Wasmtime 48.0.8". */
WASMRT_API const char *wasmrt_engine_version(void);

/* ------------------------------------------------------------------------ */
/* Logging                                                                  */

typedef enum wasmrt_log_level {
    WASMRT_LOG_ERROR = 0,
    WASMRT_LOG_WARNING,
    WASMRT_LOG_NOTICE,
    WASMRT_LOG_INFO,
    WASMRT_LOG_DEBUG,
    WASMRT_LOG_TRACE
} wasmrt_log_level;

/** Receives one message, one line, without a line end. May be called by any
 *  thread that is inside a call into the library. */
typedef void (*wasmrt_log_fn)(void *baton, wasmrt_log_level level,
                              const char *message);

/* ------------------------------------------------------------------------ */
/* Module files, without an engine                                          */

/**
 * Checks a module file as far as that goes without compiling: it exists, is
 * readable, is a WebAssembly module, each of its imports is one this library
 * offers with that type, and `entry_point` is exported as a function without
 * parameters or results.
 *
 * @param path         the module file.
 * @param entry_point  name of an export, UTF-8; NULL means "_start".
 * @param error        may be NULL.
 * @return WASMRT_OK, WASMRT_NOT_FOUND, WASMRT_INVALID or WASMRT_IO.
 */
WASMRT_API wasmrt_status wasmrt_check_file(const char *path,
                                           const char *entry_point,
                                           wasmrt_error *error);

/** One import or export of a module. Strings live during the callback. */
typedef struct wasmrt_item {
    enum { WASMRT_IMPORT, WASMRT_EXPORT } direction;
    const char *kind;         /**< "function", "memory", "table", "global", "tag" */
    const char *module;       /**< of an import; NULL for an export */
    const char *name;         /**< control characters escaped */
    const char *type;         /**< "(i32, i64) -> (i32)" for functions, "17 pages"
                                   or "17 to 64 pages" for memories, "" else */
    int supported;            /**< of an import: this library offers it */
} wasmrt_item;

typedef void (*wasmrt_item_fn)(void *baton, const wasmrt_item *item);

/**
 * Lists the imports and exports of a module file, without compiling it.
 *
 * @return as wasmrt_check_file(); WASMRT_INVALID also after some items were
 *         given, if the file is damaged behind them.
 */
WASMRT_API wasmrt_status wasmrt_inspect_file(const char *path,
                                             wasmrt_item_fn each, void *baton,
                                             wasmrt_error *error);

/* ------------------------------------------------------------------------ */
/* Compiled images and their cache                                          */

/** How an engine lays out linear memory; code compiled for one layout does
 *  not run in an engine of another. */
typedef enum wasmrt_layout {
    /** 4 GiB of address space an instance, no bounds checks: the fast one. */
    WASMRT_LAYOUT_RESERVED = 0,
    /** For processes with little address space (`ulimit -v`, small
     *  containers): explicit bounds checks, memory as it is needed. */
    WASMRT_LAYOUT_COMPACT = 1
} wasmrt_layout;

typedef struct wasmrt_cache_config {
    size_t size;              /**< sizeof(wasmrt_cache_config) */
    const char *directory;    /**< absolute path; created with mode 0755 if it
                                   is missing. NULL: nothing is kept on disk */
    const char *compiler;     /**< absolute path of the wasmctl program */
    int64_t compiler_uid;     /**< user to run the compiler as; -1: as we are */
    int64_t compiler_gid;     /**< group likewise; -1: as we are */
    uint64_t compiler_memory; /**< address space of one compiler run, bytes;
                                   0: 4 GiB */
    uint32_t compiler_seconds;/**< wall time of one compiler run; 0: 300 */
    wasmrt_layout layout;     /**< the layout of the engine to be used */
    wasmrt_log_fn log;        /**< progress and findings; may be NULL */
    void *log_baton;
} wasmrt_cache_config;

/**
 * Gives the compiled image of a module file: from the cache if it is there,
 * whole, ours and made by this version for this machine, otherwise by running
 * the compiler (a separate, unprivileged process with limits of its own) and
 * storing its result. Callers that ask for the same module at once, in any
 * number of processes, wait for one compilation.
 *
 * A cache file that is damaged, foreign or writable by others is reported
 * once through `log` and made anew. A cache directory that cannot be written
 * is reported once; the image then lives in memory.
 *
 * @param config  see above.
 * @param path    the module file. Found again by content, not by name.
 * @param image   receives the image; release with wasmrt_image_release().
 * @param error   may be NULL.
 * @return WASMRT_OK, WASMRT_NOT_FOUND, WASMRT_INVALID (not a module the engine
 *         accepts), WASMRT_IO or WASMRT_RESOURCES (the compiler exceeded its
 *         limits).
 */
WASMRT_API wasmrt_status wasmrt_image_prepare(const wasmrt_cache_config *config,
                                              const char *path,
                                              wasmrt_image **image,
                                              wasmrt_error *error);

/** See below. */
struct wasmrt_command_config;

/**
 * As wasmrt_image_prepare(), but the image is one that has started already:
 * the module's init function was run once, in a process of its own, and what
 * memory and globals held then is the data of the image. A run of it begins
 * there (the Wizer convention; the entry point continues). The image fits
 * commands with the same arguments and directories only.
 *
 * It is found again while the module, what `command` holds, and every file
 * that the init function opened are unchanged.
 *
 * @param command      arguments, environment and directories of the init
 *                     function, the memory it may use, and as entry point its
 *                     name; NULL there means "wizer-initialize".
 * @param max_age      seconds after which the image is made anew; 0: never.
 * @return as wasmrt_image_prepare(); WASMRT_NOT_FOUND also if there is no such
 *         function, WASMRT_INVALID also if it failed.
 */
WASMRT_API wasmrt_status wasmrt_start_image_prepare(
    const wasmrt_cache_config *config, const char *path,
    const struct wasmrt_command_config *command, uint32_t max_age,
    wasmrt_image **image, wasmrt_error *error);

/** What is known of an image. Strings live as long as the image. */
typedef struct wasmrt_image_info {
    size_t size;              /**< sizeof(wasmrt_image_info), set by the caller */
    const char *path;         /**< the module file */
    const char *key;          /**< name in the cache: hex digest, 64 characters */
    uint64_t module_bytes;    /**< size of the module file */
    uint64_t image_bytes;     /**< size of the compiled image */
    int cached;               /**< 1: was in the cache, 0: compiled just now */
    int on_disk;              /**< 1: a file in the cache, 0: in memory */
    double compile_seconds;   /**< wall time of the compilation; 0 if cached */
} wasmrt_image_info;

WASMRT_API void wasmrt_image_describe(const wasmrt_image *image,
                                      wasmrt_image_info *info);

/**
 * Compiles a module: the work of `wasmctl compile`. Uses threads; takes memory
 * and time that depend on the module. Call it only in a process made for it.
 *
 * @param module_fd  read from its start to its end.
 * @param layout     of the engine that will load the image.
 * @param image_fd   the image is written here, at the descriptor's position.
 * @param error      may be NULL.
 * @return WASMRT_OK, WASMRT_INVALID, WASMRT_IO or WASMRT_RESOURCES.
 */
WASMRT_API wasmrt_status wasmrt_compile(int module_fd, wasmrt_layout layout,
                                        int image_fd, wasmrt_error *error);

/**
 * Makes a module that has started already: the work of `wasmctl image`. As
 * wasmrt_compile(), it is for a process of its own. What is written is a
 * module, not yet compiled.
 *
 * @param command  see wasmrt_start_image_prepare().
 * @param error    may be NULL. After a success it has what the init function
 *                 wrote at last, empty if it wrote nothing.
 */
WASMRT_API wasmrt_status wasmrt_pre_initialize(
    int module_fd, const struct wasmrt_command_config *command, int output_fd,
    wasmrt_error *error);

/** Releases an image. Modules loaded from it stay valid. NULL is allowed. */
WASMRT_API void wasmrt_image_release(wasmrt_image *image);

/* ------------------------------------------------------------------------ */
/* Engine and modules                                                       */

typedef struct wasmrt_engine_config {
    size_t size;              /**< sizeof(wasmrt_engine_config) */
    wasmrt_layout layout;
    uint32_t max_instances;   /**< instances at once; 0: 64 */
    uint32_t wait_ms;         /**< how long wasmrt_run() waits for a free place
                                   before it reports WASMRT_BUSY */
    uint64_t stack_bytes;     /**< native stack one guest may use; 0: 1 MiB.
                                   Threads that call wasmrt_run() need this and
                                   256 KiB more. */
    wasmrt_log_fn log;        /**< may be NULL */
    void *log_baton;
} wasmrt_engine_config;

/**
 * Creates the process's engine: reserves address space for `max_instances`,
 * starts the ticker thread that enforces time limits. See the fork rule above.
 *
 * @return WASMRT_OK; WASMRT_RESOURCES if the address space does not suffice
 *         for the layout (try WASMRT_LAYOUT_COMPACT); WASMRT_INVALID.
 */
WASMRT_API wasmrt_status wasmrt_engine_create(const wasmrt_engine_config *config,
                                              wasmrt_engine **engine,
                                              wasmrt_error *error);

/** Stops the ticker and gives everything back. No command of this engine may
 *  be running. Modules and commands must have been released. NULL is allowed. */
WASMRT_API void wasmrt_engine_destroy(wasmrt_engine *engine);

/** Tells whether this process has the address space that an engine of the
 *  reserved layout with `max_instances` takes. Needs no engine. Opens
 *  /proc/self/pagemap for the engines of this process and of its children,
 *  which reset memory faster through it (PAGEMAP_SCAN, Linux 6.7): a server
 *  that gives up its rights calls this before. @return 1 or 0. */
WASMRT_API int wasmrt_layout_fits(uint32_t max_instances);

/**
 * Names what this kernel, or a filter around this process, does not offer, for
 * which a slower way is taken: sentences for a log or a page.
 *
 * @param index  0 and up.
 * @return the sentence; NULL behind the last.
 */
WASMRT_API const char *wasmrt_kernel_lack(uint32_t index);

/** Loads an image: maps its pages, which all processes share, and resolves the
 *  module's imports. @return WASMRT_OK, WASMRT_INVALID or WASMRT_RESOURCES. */
WASMRT_API wasmrt_status wasmrt_module_load(wasmrt_engine *engine,
                                            const wasmrt_image *image,
                                            wasmrt_module **module,
                                            wasmrt_error *error);

/** Releases a module; commands made from it keep what they need. NULL is
 *  allowed. */
WASMRT_API void wasmrt_module_release(wasmrt_module *module);

/* ------------------------------------------------------------------------ */
/* Commands                                                                 */

/** What a guest may do beneath a directory. */
typedef enum wasmrt_access {
    WASMRT_ACCESS_WRITE = 0, /**< read and write; no file becomes executable */
    WASMRT_ACCESS_READ = 1,  /**< nothing can be changed */
    WASMRT_ACCESS_EXEC = 2   /**< as write, and all bits of a file's mode can
                                  be seen and set, as by any other program */
} wasmrt_access;

/** A directory the guest may use. */
typedef struct wasmrt_directory {
    const char *guest_path;   /**< name under which the guest sees it */
    const char *host_path;    /**< absolute path on the host; opened anew by
                                   each run that uses it */
    wasmrt_access access;
} wasmrt_directory;

/** An environment variable. Bytes pass as they are. A name holds no '=' and is
 *  not empty. */
typedef struct wasmrt_variable {
    const char *name;
    const char *value;
} wasmrt_variable;

/** What a run may use. 0 always means the library's default. */
typedef struct wasmrt_limits {
    uint64_t memory_bytes;    /**< linear memory of one instance; default 1 GiB,
                                   at most 4 GiB */
    uint64_t output_bytes;    /**< bytes on standard output; default none */
    uint32_t wall_ms;         /**< wall time; default 60,000 */
    uint32_t cpu_ms;          /**< processor time of the thread; default none */
    uint32_t max_descriptors; /**< descriptors open at once; default 256 */
} wasmrt_limits;

typedef struct wasmrt_command_config {
    size_t size;              /**< sizeof(wasmrt_command_config) */
    const char *entry_point;  /**< NULL: "_start" */
    const char *const *arguments;      /**< argv, argv[0] first, NULL-terminated */
    const wasmrt_variable *environment;  /**< may be NULL if there is none */
    size_t environment_count;
    const wasmrt_directory *directories; /**< may be NULL if there are none */
    size_t directory_count;
    wasmrt_limits limits;
} wasmrt_command_config;

/** Binds a module to what is the same for each of its runs. Copies `config`.
 *  @return WASMRT_OK, WASMRT_INVALID or WASMRT_NOT_FOUND (entry point). */
WASMRT_API wasmrt_status wasmrt_command_create(wasmrt_module *module,
                                               const wasmrt_command_config *config,
                                               wasmrt_command **command,
                                               wasmrt_error *error);

WASMRT_API void wasmrt_command_release(wasmrt_command *command);

/* ------------------------------------------------------------------------ */
/* Runs                                                                     */

/** The streams of one run, and its variables. All functions are called on the
 *  thread that called wasmrt_run(), and only while it runs. None but `trace` and
 *  `environment` may be NULL. */
typedef struct wasmrt_streams {
    size_t size;              /**< sizeof(wasmrt_streams) */
    /** The descriptors behind standard input, output and error, which let the
     *  guest see their type, seek and poll them; -1 each where there is none,
     *  as in a server. Data always goes through the functions below. */
    int descriptors[3];
    /** Standard input. Blocks until there is something, the stream has ended,
     *  or `timeout_ms` have passed.
     *  @return bytes read (1 to length), 0 at the end, -1 if the client is
     *          gone (the run is then aborted), -2 if the time has passed. */
    int64_t (*read)(void *baton, void *buffer, size_t length,
                    uint32_t timeout_ms);
    /** Standard output. Takes all of it. `buffer` is guest memory: valid only
     *  during the call.
     *  @return 0, or -1 if nobody will take more (the run is aborted). */
    int (*write)(void *baton, const void *buffer, size_t length);
    /** The guest asked for its output to be sent (it is about to wait, or
     *  called fd_sync on standard output). @return as `write`. */
    int (*flush)(void *baton);
    /** Standard error, as written by the guest: not yet split into lines. */
    void (*write_error)(void *baton, const void *buffer, size_t length);
    /** Called about every 100 ms while the guest computes or waits.
     *  @return nonzero to abort the run. */
    int (*aborted)(void *baton);
    /** For debugging: receives each host call of the guest with its arguments
     *  and result, one line, control characters escaped. May be NULL, which
     *  costs nothing. */
    void (*trace)(void *baton, const char *line);
    /** Variables of this run. Called when the guest asks for its environment,
     *  which many never do; once at most. A name that the command's own
     *  environment has is left out, so what was configured wins. May be NULL:
     *  there are none.
     *  @param variables  receives them; they live until the run ends.
     *  @return how many there are. */
    size_t (*environment)(void *baton, const wasmrt_variable **variables);
} wasmrt_streams;

/** How a guest ended. */
typedef enum wasmrt_outcome {
    WASMRT_EXITED = 0,    /**< returned from its entry point or called proc_exit */
    WASMRT_TRAPPED,       /**< executed something it may not */
    WASMRT_TIMED_OUT,     /**< wall time or processor time used up */
    WASMRT_OUT_OF_MEMORY, /**< ended abnormally after its memory limit was hit */
    WASMRT_OUTPUT_LIMIT,  /**< wrote more than it may */
    WASMRT_ABORTED,       /**< a stream function or `aborted` asked for it */
    WASMRT_FAILED         /**< never started: the host could not provide what
                               it needs; see message */
} wasmrt_outcome;

/** Limits that a run can come up against. */
typedef enum wasmrt_limit {
    WASMRT_LIMIT_WALL = 1,         /**< wall time */
    WASMRT_LIMIT_CPU = 2,          /**< processor time */
    WASMRT_LIMIT_MEMORY = 4,
    WASMRT_LIMIT_OUTPUT = 8,
    WASMRT_LIMIT_STACK = 16,
    WASMRT_LIMIT_DESCRIPTORS = 32  /**< the guest may have gone on without */
} wasmrt_limit;

typedef struct wasmrt_result {
    size_t size;              /**< sizeof(wasmrt_result), set by the caller */
    wasmrt_outcome outcome;
    int32_t exit_status;      /**< of proc_exit, 0 if it returned; for EXITED */
    uint64_t memory_bytes;    /**< linear memory at its end */
    uint64_t input_bytes;     /**< read from standard input */
    uint64_t output_bytes;    /**< written to standard output */
    uint64_t wait_ns;         /**< waited for a free place */
    uint64_t instantiate_ns;  /**< from there to the entry point; 0 if an
                                   instance of an earlier run was at hand */
    uint64_t run_ns;          /**< in the guest */
    /** Why, for all outcomes but EXITED: one line, control characters escaped,
     *  with the limit's value where one was hit. */
    char message[512];
    /** The guest's stack, innermost first, " <- " between frames, function
     *  names where the module has them; escaped, cut to this size. Empty if
     *  there is none. */
    char backtrace[1024];
    /** The limits that the run came up against, whatever its outcome: bits of
     *  wasmrt_limit. */
    uint32_t limits_reached;
} wasmrt_result;

/**
 * Runs a command once.
 *
 * @param command  see above.
 * @param streams  see above.
 * @param baton    given to each of them.
 * @param result   filled in always.
 * @return WASMRT_OK if the guest was started (see result->outcome),
 *         WASMRT_BUSY if no place became free in time, WASMRT_RESOURCES if it
 *         could not be instantiated (result->message says why).
 */
WASMRT_API wasmrt_status wasmrt_run(const wasmrt_command *command,
                                    const wasmrt_streams *streams, void *baton,
                                    wasmrt_result *result);

#ifdef __cplusplus
}
#endif

#endif /* WASM_RUNTIME_H */

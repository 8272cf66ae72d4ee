/* Licensed to the Apache Software Foundation (ASF) under one or more
 * contributor license agreements.  See the NOTICE file distributed with
 * this work for additional information regarding copyright ownership.
 * The ASF licenses this file to You under the Apache License, Version 2.0
 * (the "License"); you may not use this file except in compliance with
 * the License.  You may obtain a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include "apr_file_info.h"
#include "apr_lib.h"
#include "apr_strings.h"

#include "http_core.h"
#include "http_log.h"

#include "mod_wasm.h"

APLOG_USE_MODULE(wasm);

/* Bounds of what the directives take. */
#define WASM_PAGE_BYTES        APR_INT64_C(65536)
#define WASM_MAX_MEMORY        APR_INT64_C(4294967296)
#define WASM_MIN_STACK         APR_INT64_C(65536)
#define WASM_MAX_STACK         APR_INT64_C(268435456)
#define WASM_MAX_INSTANCES     100000
#define WASM_MIN_HEADERS       APR_INT64_C(256)
#define WASM_MAX_HEADERS       APR_INT64_C(16777216)
#define WASM_MIN_DESCRIPTORS   8
#define WASM_MAX_DESCRIPTORS   65536
#define WASM_MIN_COMPILER      APR_INT64_C(67108864)
#define WASM_MAX_COMPILER      APR_INT64_C(1099511627776)
#define WASM_MAX_MS            APR_INT64_C(4294967295)

/* What makes a start image, by the convention of the tool wizer. */
#define WASM_INIT_FUNCTION "wizer-initialize"

/* Made anew by each reading of the configuration, read-only afterwards. */
static wasm_setup *setup;

wasm_setup *wasm_config_setup(void)
{
    return setup;
}

const char *wasm_config_reason(const char *path, const wasmrt_error *error)
{
    apr_size_t length = strlen(path);

    if (!strncmp(error->message, path, length)
        && !strncmp(error->message + length, ": ", 2)) {
        return error->message + length + 2;
    }
    return error->message;
}

/* Files are looked at in the first reading, which is the one of `httpd -t`,
 * and whose errors the administrator sees. In the second, of a server that
 * starts, that need not be done again. In those of restarts an error would be
 * the end of a server that has other routes, too: what is wrong with a file
 * then costs the routes that need it. */
static int is_first_reading(void)
{
    return ap_state_query(AP_SQ_CONFIG_GEN) == 0;
}

static apr_status_t forget_setup(void *unused)
{
    setup = NULL;
    return APR_SUCCESS;
}

int wasm_config_pre(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    setup = apr_pcalloc(pconf, sizeof(*setup));
    apr_pool_cleanup_register(pconf, NULL, forget_setup,
                              apr_pool_cleanup_null);
    setup->pool = pconf;
    setup->files = apr_array_make(pconf, 4, sizeof(wasm_file *));
    setup->sections = apr_array_make(pconf, 4, sizeof(wasm_section *));
    setup->starts = apr_array_make(pconf, 4, sizeof(wasm_start *));
    setup->max_instances = -1;
    setup->stack_bytes = -1;
    return OK;
}

/* ------------------------------------------------------------------------ */
/* Records                                                                  */

void *wasm_config_create_dir(apr_pool_t *pool, char *path)
{
    wasm_dir_conf *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->snapshot = -1;
    conf->snapshot_ms = -1;
    conf->enable_cgi = -1;
    conf->map_file_names = -1;
    conf->wall_ms = -1;
    conf->cpu_ms = -1;
    conf->memory_bytes = -1;
    conf->output_bytes = -1;
    conf->header_bytes = -1;
    conf->max_descriptors = -1;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_RUN_MPM) {
        conf->transient = 1;
    }
    else {
        int *id = apr_palloc(pool, sizeof(*id));

        /* The main server's own record, which all others are merged into, is
         * made when the module is loaded, before wasm_config_pre(). */
        *id = setup ? ++setup->last_id : 0;
        conf->ids = id;
        conf->id_count = 1;
    }
    return conf;
}

/* A later variable of the same name takes the place of the earlier one. */
static void set_variable(apr_array_header_t *list, const wasmrt_variable *add)
{
    int i;

    for (i = 0; i < list->nelts; i++) {
        wasmrt_variable *each = &APR_ARRAY_IDX(list, i, wasmrt_variable);

        if (!strcmp(each->name, add->name)) {
            *each = *add;
            return;
        }
    }
    APR_ARRAY_PUSH(list, wasmrt_variable) = *add;
}

/* So does a later directory under the same guest path. */
static void set_directory(apr_array_header_t *list, const wasmrt_directory *add)
{
    int i;

    for (i = 0; i < list->nelts; i++) {
        wasmrt_directory *each = &APR_ARRAY_IDX(list, i, wasmrt_directory);

        if (!strcmp(each->guest_path, add->guest_path)) {
            *each = *add;
            return;
        }
    }
    APR_ARRAY_PUSH(list, wasmrt_directory) = *add;
}

static apr_array_header_t *merge_arguments(apr_pool_t *pool,
                                           apr_array_header_t *base,
                                           apr_array_header_t *over)
{
    return base && over ? apr_array_append(pool, base, over)
                        : base ? base : over;
}

static apr_array_header_t *merge_environment(apr_pool_t *pool,
                                             apr_array_header_t *base,
                                             apr_array_header_t *over)
{
    apr_array_header_t *list;
    int i;

    if (!base || !over) {
        return base ? base : over;
    }
    list = apr_array_copy(pool, base);
    for (i = 0; i < over->nelts; i++) {
        set_variable(list, &APR_ARRAY_IDX(over, i, wasmrt_variable));
    }
    return list;
}

static apr_array_header_t *merge_directories(apr_pool_t *pool,
                                             apr_array_header_t *base,
                                             apr_array_header_t *over)
{
    apr_array_header_t *list;
    int i;

    if (!base || !over) {
        return base ? base : over;
    }
    list = apr_array_copy(pool, base);
    for (i = 0; i < over->nelts; i++) {
        set_directory(list, &APR_ARRAY_IDX(over, i, wasmrt_directory));
    }
    return list;
}

#define MERGE_NUMBER(field) \
    conf->field = over->field != -1 ? over->field : base->field
#define MERGE_POINTER(field) \
    conf->field = over->field ? over->field : base->field

void *wasm_config_merge_dir(apr_pool_t *pool, void *basev, void *overv)
{
    wasm_dir_conf *base = basev;
    wasm_dir_conf *over = overv;
    wasm_dir_conf *conf;
    int *ids;

    /* For most requests one of them is of a section without any directive of
     * this module. */
    if (!base->section && !base->transient) {
        return over;
    }
    if (!over->section && !over->transient) {
        return base;
    }

    conf = apr_pmemdup(pool, over, sizeof(*over));
    conf->transient = base->transient || over->transient;
    conf->id_count = base->id_count + over->id_count;
    ids = apr_palloc(pool, conf->id_count * sizeof(*ids));
    if (base->id_count) {
        memcpy(ids, base->ids, base->id_count * sizeof(*ids));
    }
    if (over->id_count) {
        memcpy(ids + base->id_count, over->ids, over->id_count * sizeof(*ids));
    }
    conf->ids = ids;

    /* A section with a module of its own describes another guest, which gets
     * nothing that was meant for the one around it. */
    if (!over->module) {
        MERGE_POINTER(module);
        /* A start image was made with the arguments and directories of its
         * section: a guest that has more of them begins at the beginning. */
        conf->start = over->arguments || over->directories
                      || over->snapshot == 0 ? NULL : base->start;
        MERGE_NUMBER(snapshot);
        MERGE_POINTER(entry_point);
        MERGE_NUMBER(enable_cgi);
        MERGE_NUMBER(map_file_names);
        conf->arguments = merge_arguments(pool, base->arguments,
                                          over->arguments);
        conf->environment = merge_environment(pool, base->environment,
                                              over->environment);
        conf->directories = merge_directories(pool, base->directories,
                                              over->directories);
    }

    MERGE_NUMBER(snapshot_ms);
    MERGE_NUMBER(wall_ms);
    MERGE_NUMBER(cpu_ms);
    MERGE_NUMBER(memory_bytes);
    MERGE_NUMBER(output_bytes);
    MERGE_NUMBER(header_bytes);
    MERGE_NUMBER(max_descriptors);
    return conf;
}

const char *wasm_config_guest_path(apr_pool_t *pool, const wasm_dir_conf *conf,
                                   const char *host_path)
{
    const wasmrt_directory *best = NULL;
    apr_size_t best_length = 0;
    const char *rest;
    int i;

    for (i = 0; conf->directories && i < conf->directories->nelts; i++) {
        const wasmrt_directory *each = &APR_ARRAY_IDX(conf->directories, i,
                                                      wasmrt_directory);
        apr_size_t length = strlen(each->host_path);

        /* "/" is the one host path that ends in a slash. */
        if (length == 1) {
            length = 0;
        }
        if (!strncmp(host_path, each->host_path, length)
            && (host_path[length] == '/' || host_path[length] == '\0')
            && (!best || length >= best_length)) {
            best = each;
            best_length = length;
        }
    }
    if (!best) {
        return NULL;
    }
    rest = host_path + best_length;
    if (*rest == '\0') {
        return best->guest_path;
    }
    if (!strcmp(best->guest_path, "/")) {
        return rest;
    }
    return apr_pstrcat(pool, best->guest_path, rest, NULL);
}

/* ------------------------------------------------------------------------ */
/* Directives                                                               */

/* An error of the directive at hand: its name, then what is wrong with the
 * value and what to do. The server puts file and line in front. */
static const char *complain(cmd_parms *cmd, const char *value,
                            const char *problem)
{
    return apr_psprintf(cmd->pool, "%s %s: %s", cmd->cmd->name, value, problem);
}

static const char *absolute_path(cmd_parms *cmd, const char *path)
{
    char *full = ap_server_root_relative(cmd->pool, path);
    apr_size_t length;

    if (!full) {
        return NULL;
    }
    for (length = strlen(full); length > 1 && full[length - 1] == '/'; ) {
        full[--length] = '\0';
    }
    return full;
}

static const char *parse_bytes(cmd_parms *cmd, const char *arg,
                               apr_int64_t minimum, apr_int64_t maximum,
                               apr_int64_t *value)
{
    apr_int64_t unit = 1;
    apr_int64_t number;
    char *end;

    errno = 0;
    number = apr_strtoi64(arg, &end, 10);
    if (errno || end == arg || !apr_isdigit(*arg)) {
        return complain(cmd, arg, "is not a number of bytes; give a number, "
                        "with K, M or G behind it if you like");
    }
    switch (apr_tolower(*end)) {
    case 'k':
        unit = APR_INT64_C(1024);
        end++;
        break;
    case 'm':
        unit = APR_INT64_C(1048576);
        end++;
        break;
    case 'g':
        unit = APR_INT64_C(1073741824);
        end++;
        break;
    default:
        break;
    }
    if (*end) {
        return complain(cmd, arg, "has an unknown unit; the units are K, M "
                        "and G");
    }
    if (number > maximum / unit || number * unit < minimum) {
        return complain(cmd, arg,
                        apr_psprintf(cmd->pool, "is out of range; give %"
                                     APR_INT64_T_FMT " to %" APR_INT64_T_FMT
                                     " bytes", minimum, maximum));
    }
    *value = number * unit;
    return NULL;
}

static const char *parse_duration(cmd_parms *cmd, const char *arg,
                                  apr_int64_t *ms)
{
    apr_interval_time_t interval = 0;
    apr_int64_t value;
    int valid = apr_isdigit(*arg);

    if (valid && ap_strchr_c(arg, '.')) {
        const char *p = ap_strchr_c(arg, '.') + 1;
        apr_int64_t scale = APR_USEC_PER_SEC / 10;

        errno = 0;
        interval = apr_time_from_sec(apr_strtoi64(arg, NULL, 10));
        valid = !errno && interval >= 0
                && interval <= apr_time_from_sec(WASM_MAX_MS);
        for (; apr_isdigit(*p); p++, scale /= 10) {
            interval += (*p - '0') * scale;
        }
        valid = valid && (*p == '\0' || !strcmp(p, "s"));
    }
    else if (valid) {
        valid = ap_timeout_parameter_parse(arg, &interval, "s") == APR_SUCCESS;
    }
    if (!valid) {
        return complain(cmd, arg, "is not a duration; give seconds, such as "
                        "30 or 0.5, or milliseconds, such as 500ms");
    }
    value = interval / 1000;
    if (value < 1 || value > WASM_MAX_MS) {
        return complain(cmd, arg, "is out of range; give one millisecond to "
                        "49 days");
    }
    *ms = value;
    return NULL;
}

/* @return the record that a directive is about; its section is remembered when
 *         its first directive is read. */
static wasm_dir_conf *section_conf(cmd_parms *cmd, void *confv)
{
    wasm_dir_conf *conf = confv;
    const ap_directive_t *parent = cmd->directive->parent;
    wasm_section *section;

    if (conf->section || conf->transient) {
        return conf;
    }
    section = apr_pcalloc(setup->pool, sizeof(*section));
    section->conf = conf;
    section->server = cmd->server;
    if (parent && ap_cstr_casecmp(parent->directive, "<VirtualHost")) {
        section->name = apr_pstrcat(setup->pool, parent->directive, " ",
                                    parent->args, NULL);
    }
    section->config_file = cmd->directive->filename;
    section->config_line = cmd->directive->line_num;
    APR_ARRAY_PUSH(setup->sections, wasm_section *) = section;
    conf->section = section;
    return conf;
}

static wasm_file *register_file(const char *path)
{
    wasm_file *file;
    int i;

    for (i = 0; i < setup->files->nelts; i++) {
        file = APR_ARRAY_IDX(setup->files, i, wasm_file *);
        if (!strcmp(file->path, path)) {
            return file;
        }
    }
    file = apr_pcalloc(setup->pool, sizeof(*file));
    file->path = path;
    file->index = setup->files->nelts;
    APR_ARRAY_PUSH(setup->files, wasm_file *) = file;
    return file;
}

static const char *set_module(cmd_parms *cmd, void *confv, const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);
    const char *problem = ap_check_cmd_context(cmd, NOT_IN_HTACCESS);
    const char *path = absolute_path(cmd, arg);

    if (problem) {
        return problem;
    }
    if (!path) {
        return complain(cmd, arg, "is not a valid path");
    }
    if (conf->module) {
        return complain(cmd, arg, apr_psprintf(cmd->pool,
                        "this section already has the module %s; give each "
                        "module a section of its own", conf->module->path));
    }
    if (is_first_reading()) {
        apr_finfo_t info;
        apr_status_t rv;
        wasmrt_status status;
        wasmrt_error error;

        rv = apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool);
        if (rv != APR_SUCCESS && rv != APR_INCOMPLETE) {
            char reason[120];

            return complain(cmd, path, apr_psprintf(cmd->pool,
                            "cannot find the module file: %s",
                            apr_strerror(rv, reason, sizeof(reason))));
        }
        if (info.filetype != APR_REG) {
            return complain(cmd, path, "is not a file");
        }
        /* Whether the entry point is there can only be said when the section
         * has been read, by wasm_config_check(). */
        status = wasmrt_check_file(path, NULL, &error);
        if (status != WASMRT_OK && status != WASMRT_NOT_FOUND) {
            return complain(cmd, path, wasm_config_reason(path, &error));
        }
    }
    conf->module = register_file(path);
    conf->section->config_file = cmd->directive->filename;
    conf->section->config_line = cmd->directive->line_num;
    return NULL;
}

static const char *add_argument(cmd_parms *cmd, void *confv, const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    if (!conf->arguments) {
        conf->arguments = apr_array_make(cmd->pool, 4, sizeof(const char *));
    }
    APR_ARRAY_PUSH(conf->arguments, const char *) = arg;
    return NULL;
}

static const char *add_variable(cmd_parms *cmd, void *confv, const char *name,
                                const char *value)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);
    wasmrt_variable variable;

    if (ap_strchr_c(name, '=')) {
        return complain(cmd, name, "is not a variable's name, since it has a "
                        "'='; write name and value as two words");
    }
    if (!conf->environment) {
        conf->environment = apr_array_make(cmd->pool, 4,
                                           sizeof(wasmrt_variable));
    }
    variable.name = name;
    variable.value = value;
    set_variable(conf->environment, &variable);
    return NULL;
}

static const char *add_mapping(cmd_parms *cmd, wasm_dir_conf *conf,
                               const char *guest_path, const char *host_path,
                               wasmrt_access access)
{
    const char *path = absolute_path(cmd, host_path);
    apr_size_t length = strlen(guest_path);
    wasmrt_directory directory;

    if (!path) {
        return complain(cmd, host_path, "is not a valid path");
    }
    if (is_first_reading()) {
        apr_finfo_t info;
        apr_status_t rv = apr_stat(&info, path, APR_FINFO_TYPE,
                                   cmd->temp_pool);

        if (rv != APR_SUCCESS && rv != APR_INCOMPLETE) {
            char reason[120];

            return complain(cmd, path, apr_psprintf(cmd->pool,
                            "cannot find the directory: %s",
                            apr_strerror(rv, reason, sizeof(reason))));
        }
        if (info.filetype != APR_DIR) {
            return complain(cmd, path, "is not a directory");
        }
    }
    while (length > 1 && guest_path[length - 1] == '/') {
        length--;
    }
    directory.guest_path = apr_pstrmemdup(cmd->pool, guest_path, length);
    directory.host_path = path;
    directory.access = access;
    if (!conf->directories) {
        conf->directories = apr_array_make(cmd->pool, 4,
                                           sizeof(wasmrt_directory));
    }
    set_directory(conf->directories, &directory);
    return NULL;
}

static const char *add_dir(cmd_parms *cmd, void *confv, const char *arg)
{
    const char *path = absolute_path(cmd, arg);

    if (!path) {
        return complain(cmd, arg, "is not a valid path");
    }
    return add_mapping(cmd, section_conf(cmd, confv), path, path,
                       WASMRT_ACCESS_WRITE);
}

static const char *add_map_dir(cmd_parms *cmd, void *confv, const char *guest,
                               const char *host, const char *mode)
{
    wasmrt_access access = WASMRT_ACCESS_WRITE;

    if (mode && !ap_cstr_casecmp(mode, "ro")) {
        access = WASMRT_ACCESS_READ;
    }
    else if (mode && !ap_cstr_casecmp(mode, "exec")) {
        access = WASMRT_ACCESS_EXEC;
    }
    else if (mode) {
        return complain(cmd, mode, "the third word can only be \"ro\", which "
                        "makes the directory read-only, or \"exec\", which "
                        "lets guests make files in it executable");
    }
    return add_mapping(cmd, section_conf(cmd, confv), guest, host, access);
}

static const char *set_entry_point(cmd_parms *cmd, void *confv, const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    conf->entry_point = arg;
    return NULL;
}

static const char *set_enable_cgi(cmd_parms *cmd, void *confv, int flag)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    conf->enable_cgi = flag;
    return NULL;
}

static const char *set_map_file_names(cmd_parms *cmd, void *confv, int flag)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    conf->map_file_names = flag;
    return NULL;
}

static const char *set_snapshot(cmd_parms *cmd, void *confv, int flag)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);
    const char *problem = ap_check_cmd_context(cmd, NOT_IN_HTACCESS);

    if (problem) {
        return problem;
    }
    conf->snapshot = flag;
    conf->start = NULL;
    if (flag) {
        conf->start = apr_pcalloc(setup->pool, sizeof(*conf->start));
        conf->start->conf = conf;
        conf->start->server = cmd->server;
        conf->start->index = setup->starts->nelts;
        conf->start->config_file = cmd->directive->filename;
        conf->start->config_line = cmd->directive->line_num;
        APR_ARRAY_PUSH(setup->starts, wasm_start *) = conf->start;
    }
    return NULL;
}

static const char *set_snapshot_refresh(cmd_parms *cmd, void *confv,
                                        const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    return parse_duration(cmd, arg, &conf->snapshot_ms);
}

static const char *set_timeout(cmd_parms *cmd, void *confv, const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    return parse_duration(cmd, arg, &conf->wall_ms);
}

static const char *set_cpu_limit(cmd_parms *cmd, void *confv, const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    if (!ap_cstr_casecmp(arg, "none")) {
        conf->cpu_ms = 0;
        return NULL;
    }
    return parse_duration(cmd, arg, &conf->cpu_ms);
}

static const char *set_memory_limit(cmd_parms *cmd, void *confv,
                                    const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    return parse_bytes(cmd, arg, WASM_PAGE_BYTES, WASM_MAX_MEMORY,
                       &conf->memory_bytes);
}

static const char *set_output_limit(cmd_parms *cmd, void *confv,
                                    const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    if (!ap_cstr_casecmp(arg, "none")) {
        conf->output_bytes = 0;
        return NULL;
    }
    return parse_bytes(cmd, arg, 1, APR_INT64_MAX, &conf->output_bytes);
}

static const char *set_header_limit(cmd_parms *cmd, void *confv,
                                    const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);

    return parse_bytes(cmd, arg, WASM_MIN_HEADERS, WASM_MAX_HEADERS,
                       &conf->header_bytes);
}

static const char *parse_number(cmd_parms *cmd, const char *arg, int minimum,
                                int maximum, int *number)
{
    char *end;
    apr_int64_t value = apr_strtoi64(arg, &end, 10);

    if (!apr_isdigit(*arg) || *end || value < minimum || value > maximum) {
        return complain(cmd, arg, apr_psprintf(cmd->pool,
                        "is not a number from %d to %d", minimum, maximum));
    }
    *number = (int)value;
    return NULL;
}

static const char *set_max_descriptors(cmd_parms *cmd, void *confv,
                                       const char *arg)
{
    wasm_dir_conf *conf = section_conf(cmd, confv);
    const char *problem = ap_check_cmd_context(cmd, NOT_IN_HTACCESS);

    if (!problem) {
        problem = parse_number(cmd, arg, WASM_MIN_DESCRIPTORS,
                               WASM_MAX_DESCRIPTORS, &conf->max_descriptors);
    }
    if (!problem && setup->max_descriptors < conf->max_descriptors) {
        setup->max_descriptors = conf->max_descriptors;
    }
    return problem;
}

static const char *set_max_instances(cmd_parms *cmd, void *confv,
                                     const char *arg)
{
    const char *problem = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return problem ? problem : parse_number(cmd, arg, 1, WASM_MAX_INSTANCES,
                                            &setup->max_instances);
}

static const char *set_stack_limit(cmd_parms *cmd, void *confv, const char *arg)
{
    const char *problem = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return problem ? problem : parse_bytes(cmd, arg, WASM_MIN_STACK,
                                           WASM_MAX_STACK,
                                           &setup->stack_bytes);
}

static const char *set_cache_dir(cmd_parms *cmd, void *confv, const char *arg)
{
    const char *problem = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (problem) {
        return problem;
    }
    setup->cache_dir = absolute_path(cmd, arg);
    return setup->cache_dir ? NULL : complain(cmd, arg, "is not a valid path");
}

static const char *set_compiler(cmd_parms *cmd, void *confv, const char *arg)
{
    const char *problem = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_finfo_t info;
    apr_status_t rv;

    if (problem) {
        return problem;
    }
    setup->compiler = absolute_path(cmd, arg);
    if (!setup->compiler) {
        return complain(cmd, arg, "is not a valid path");
    }
    if (!is_first_reading()) {
        return NULL;
    }
    rv = apr_stat(&info, setup->compiler, APR_FINFO_TYPE | APR_FINFO_PROT,
                  cmd->temp_pool);
    if ((rv != APR_SUCCESS && rv != APR_INCOMPLETE)
        || info.filetype != APR_REG
        || !(info.protection & APR_FPROT_UEXECUTE)) {
        return complain(cmd, setup->compiler, "is not a program; give the path "
                        "of wasmctl");
    }
    return NULL;
}

static const char *set_compiler_timeout(cmd_parms *cmd, void *confv,
                                        const char *arg)
{
    const char *problem = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return problem ? problem : parse_duration(cmd, arg, &setup->compiler_ms);
}

static const char *set_compiler_memory(cmd_parms *cmd, void *confv,
                                       const char *arg)
{
    const char *problem = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return problem ? problem : parse_bytes(cmd, arg, WASM_MIN_COMPILER,
                                           WASM_MAX_COMPILER,
                                           &setup->compiler_bytes);
}

/* .htaccess files may change what a guest is told, not what it may do: the
 * directives that name a program, open directories or move limits are the
 * server's configuration only. Those that change what all children share
 * refuse to be there even where AllowOverrideList names them. */
const command_rec wasm_directives[] = {
    AP_INIT_TAKE1("WasmModule", set_module, NULL, RSRC_CONF | ACCESS_CONF,
                  "the WebAssembly module to run"),
    AP_INIT_TAKE1("WasmArg", add_argument, NULL, OR_OPTIONS,
                  "an argument for the guest"),
    AP_INIT_TAKE2("WasmEnv", add_variable, NULL, OR_OPTIONS,
                  "name and value of an environment variable for the guest"),
    AP_INIT_TAKE1("WasmDir", add_dir, NULL, RSRC_CONF | ACCESS_CONF,
                  "a directory the guest may use, under its own path"),
    AP_INIT_TAKE23("WasmMapDir", add_map_dir, NULL, RSRC_CONF | ACCESS_CONF,
                   "a path in the guest, the directory it stands for, and "
                   "optionally 'ro' or 'exec'"),
    AP_INIT_FLAG("WasmEnableCGI", set_enable_cgi, NULL, RSRC_CONF | ACCESS_CONF,
                 "On: the guest is a CGI program; Off: its output is the "
                 "response body"),
    AP_INIT_FLAG("WasmMapCGIFileNames", set_map_file_names, NULL,
                 RSRC_CONF | ACCESS_CONF,
                 "On: CGI variables name files as the guest sees them"),
    AP_INIT_TAKE1("WasmEntryPoint", set_entry_point, NULL,
                  RSRC_CONF | ACCESS_CONF,
                  "the exported function to call instead of _start"),
    AP_INIT_FLAG("WasmSnapshot", set_snapshot, NULL, RSRC_CONF | ACCESS_CONF,
                 "On: runs begin where the module's init function ended"),
    AP_INIT_TAKE1("WasmSnapshotRefresh", set_snapshot_refresh, NULL,
                  RSRC_CONF | ACCESS_CONF,
                  "age in seconds at which a restart makes the start image "
                  "anew"),
    AP_INIT_TAKE1("WasmTimeout", set_timeout, NULL, RSRC_CONF | ACCESS_CONF,
                  "wall time of one run in seconds"),
    AP_INIT_TAKE1("WasmCPULimit", set_cpu_limit, NULL, RSRC_CONF | ACCESS_CONF,
                  "processor time of one run in seconds, or 'none'"),
    AP_INIT_TAKE1("WasmMemoryLimit", set_memory_limit, NULL,
                  RSRC_CONF | ACCESS_CONF,
                  "memory of one instance in bytes, or with K, M, G"),
    AP_INIT_TAKE1("WasmOutputLimit", set_output_limit, NULL,
                  RSRC_CONF | ACCESS_CONF,
                  "output of one run in bytes, or with K, M, G, or 'none'"),
    AP_INIT_TAKE1("WasmHeaderLimit", set_header_limit, NULL,
                  RSRC_CONF | ACCESS_CONF,
                  "bytes of header lines in one response, or with K, M"),
    AP_INIT_TAKE1("WasmMaxDescriptors", set_max_descriptors, NULL,
                  RSRC_CONF | ACCESS_CONF,
                  "files and directories that one guest may have open"),
    AP_INIT_TAKE1("WasmMaxInstances", set_max_instances, NULL, RSRC_CONF,
                  "instances at once in each server process"),
    AP_INIT_TAKE1("WasmStackLimit", set_stack_limit, NULL, RSRC_CONF,
                  "native stack of one instance in bytes, or with K, M, G"),
    AP_INIT_TAKE1("WasmCacheDir", set_cache_dir, NULL, RSRC_CONF,
                  "the directory for compiled modules"),
    AP_INIT_TAKE1("WasmCompiler", set_compiler, NULL, RSRC_CONF,
                  "the wasmctl program that compiles modules"),
    AP_INIT_TAKE1("WasmCompilerTimeout", set_compiler_timeout, NULL, RSRC_CONF,
                  "wall time of one compilation in seconds"),
    AP_INIT_TAKE1("WasmCompilerMemory", set_compiler_memory, NULL, RSRC_CONF,
                  "memory of one compilation in bytes, or with K, M, G"),
    { NULL }
};

/* ------------------------------------------------------------------------ */
/* What can be said when all is read                                        */

/* Tells whether an earlier section has the same module and entry point. */
static int is_checked(int index)
{
    const wasm_dir_conf *conf = APR_ARRAY_IDX(setup->sections, index,
                                              wasm_section *)->conf;
    const char *name = conf->entry_point ? conf->entry_point : "_start";
    int i;

    for (i = 0; i < index; i++) {
        const wasm_dir_conf *each = APR_ARRAY_IDX(setup->sections, i,
                                                  wasm_section *)->conf;

        if (each->module == conf->module
            && !strcmp(each->entry_point ? each->entry_point : "_start",
                       name)) {
            return 1;
        }
    }
    return 0;
}

/* @return what is wrong with a WasmSnapshot directive, or NULL. */
static const char *check_start(const wasm_start *start, wasmrt_error *error)
{
    if (!start->conf->module) {
        return "a start image belongs to one module with all its arguments and "
               "directories; put the directive into the section that has the "
               "WasmModule";
    }
    if (is_first_reading()
        && wasmrt_check_file(start->conf->module->path, WASM_INIT_FUNCTION,
                             error) != WASMRT_OK) {
        return error->message;
    }
    return NULL;
}

int wasm_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *s)
{
    int result = OK;
    int i;

    for (i = 0; i < setup->sections->nelts && is_first_reading(); i++) {
        const wasm_section *section = APR_ARRAY_IDX(setup->sections, i,
                                                    wasm_section *);
        const char *path;
        wasmrt_error error;

        if (!section->conf->module || is_checked(i)) {
            continue;
        }
        path = section->conf->module->path;
        if (wasmrt_check_file(path, section->conf->entry_point, &error)
            != WASMRT_OK) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, s,
                         APLOGNO(10909) "WasmModule %s on line %d of %s: %s",
                         path, section->config_line, section->config_file,
                         wasm_config_reason(path, &error));
            result = HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    for (i = 0; i < setup->starts->nelts; i++) {
        const wasm_start *start = APR_ARRAY_IDX(setup->starts, i,
                                                wasm_start *);
        wasmrt_error error;
        const char *problem = start->conf->snapshot == 1
                              ? check_start(start, &error) : NULL;

        if (problem) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, s,
                         APLOGNO(10950) "WasmSnapshot on line %d of %s: %s",
                         start->config_line, start->config_file, problem);
            result = HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return result;
}

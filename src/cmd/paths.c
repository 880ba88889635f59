/* Where the data directory and the socket are. */
#include "cmd/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static const char *users_data_dir(struct arena *arena) {
    const char *base = environment("XDG_STATE_HOME");
    if (environment("HOLDFAST_DATA"))
        return environment("HOLDFAST_DATA");
    if (base && base[0] == '/')
        return arena_printf(arena, "%s/holdfast", base);
    if (geteuid() == 0)
        return "/var/lib/holdfast";
    if (environment("HOME"))
        return arena_printf(arena, "%s/.local/state/holdfast", environment("HOME"));
    return NULL;
}

/* A relative folder is made absolute: children and cgroup names must not depend on where the daemon was started. */
static const char *make_absolute(struct arena *arena, const char *path) {
    char here[4096];
    if (path[0] == '/')
        return path;
    return getcwd(here, sizeof here) ? arena_printf(arena, "%s/%s", here, path) : NULL;
}

int command_find_paths(struct command_invocation *invocation, struct hf_error *error) {
    struct command_globals *globals = &invocation->globals;
    if (!globals->data_dir)
        globals->data_dir = users_data_dir(&invocation->arena);
    if (!globals->data_dir || !globals->data_dir[0]) {
        error_set(error, HF_ERR_CONFIG, "find the data directory: neither --data, HOLDFAST_DATA nor HOME is set");
        return error_hint(error, "name a folder: holdfast --data DIR …");
    }
    globals->data_dir = make_absolute(&invocation->arena, globals->data_dir);
    if (!globals->socket_path)
        globals->socket_path = environment("HOLDFAST_SOCKET");
    if (!globals->socket_path && globals->data_dir)
        globals->socket_path = arena_printf(&invocation->arena, "%s/holdfast.sock", globals->data_dir);
    if (!globals->socket_path || !globals->data_dir)
        return error_set(error, HF_ERR_NO_MEMORY, "find the data directory");
    return 0;
}

#include "run/child_env.h"

#include <string.h>
#include <unistd.h>

/* Where programs and modules are, and how text and time are shown. Not: proxies and keys, which may hold secrets. */
static const char *const ALLOWED[] = {
    "PATH", "HOME",       "USER",   "LOGNAME",    "SHELL",       "LANG",          "LANGUAGE",
    "TZ",   "PYTHONPATH", "TMPDIR", "PYTHONHOME", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
};
enum { ALLOWED_COUNT = sizeof ALLOWED / sizeof ALLOWED[0] };
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int has_name(const char *variable, const char *name, size_t bytes) {
    return strncmp(variable, name, bytes) == 0 && variable[bytes] == '=';
}

static int is_allowed(const char *variable) {
    if (strncmp(variable, "LC_", 3) == 0)
        return 1;
    for (int i = 0; i < ALLOWED_COUNT; i++) {
        if (has_name(variable, ALLOWED[i], strlen(ALLOWED[i])))
            return 1;
    }
    return 0;
}

static size_t count_of(const char *const *list) {
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

/* Replaces the variable of that name, or adds it. */
static void set(const char **list, const char *variable) {
    size_t i = 0, bytes = strcspn(variable, "=");
    while (list[i] && !has_name(list[i], variable, bytes))
        i++;
    list[i] = variable;
}

static int set_own(struct child_env *env, const char *name, const char *value) {
    if (!value)
        return 0;
    const char *variable = arena_printf(&env->arena, "%s=%s", name, value);
    if (!variable)
        return -1;
    set(env->list, variable);
    return 0;
}

int child_env_init(struct child_env *env, const char *const *extra, const char *source, const char *nonce,
                   const char *data_dir) {
    const char *const *own = (const char *const *)environ;
    arena_init(&env->arena);
    env->list = arena_zalloc(&env->arena, count_of(own) + count_of(extra) + 8, sizeof *env->list);
    if (!env->list)
        return -1;
    set(env->list, DEFAULT_PATH);
    for (; own && *own; own++) {
        if (is_allowed(*own))
            set(env->list, *own);
    }
    for (; extra && *extra; extra++)
        set(env->list, *extra);
    if (set_own(env, "HOLDFAST_SOURCE", source) < 0 || set_own(env, "HOLDFAST_NONCE", nonce) < 0 ||
        set_own(env, "HOLDFAST_DATA", data_dir) < 0) {
        child_env_fini(env);
        return -1;
    }
    return 0;
}

int child_env_init_whole(struct child_env *env, const char *const *extra) {
    const char *const *own = (const char *const *)environ;
    arena_init(&env->arena);
    env->list = arena_zalloc(&env->arena, count_of(own) + count_of(extra) + 1, sizeof *env->list);
    if (!env->list)
        return -1;
    for (size_t i = 0; own && own[i]; i++)
        env->list[i] = own[i];
    for (; extra && *extra; extra++)
        set(env->list, *extra);
    return 0;
}

void child_env_fini(struct child_env *env) {
    arena_fini(&env->arena);
    env->list = NULL;
}

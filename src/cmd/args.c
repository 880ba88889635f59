#include "cmd/command.h"

#include <string.h>

#include "base/text.h"
#include "data/ids.h"

struct cursor {
    int argc, at;
    char **argv;
};

static const struct api_parameter global_flags[] = {
    {"data", PLACE_FIELD, TYPE_TEXT, 0, "DIR", "the data directory"},
    {"socket", PLACE_FIELD, TYPE_TEXT, 0, "PATH", "the daemon's socket"},
    {"o", PLACE_FIELD, TYPE_TEXT, 0, "FORMAT", "table, json or jsonl"},
    {"q", PLACE_FIELD, TYPE_BOOL, 0, NULL, "quiet"},
    {"y", PLACE_FIELD, TYPE_BOOL, 0, NULL, "yes"},
    {"n", PLACE_FIELD, TYPE_BOOL, 0, NULL, "dry run"},
    {"dry-run", PLACE_FIELD, TYPE_BOOL, 0, NULL, "dry run"},
    {"help", PLACE_FIELD, TYPE_BOOL, 0, NULL, "help"},
    {"h", PLACE_FIELD, TYPE_BOOL, 0, NULL, "help"},
    {NULL, PLACE_FIELD, TYPE_TEXT, 0, NULL, NULL},
};
static const struct api_parameter serve_flags[] = {
    {"listen", PLACE_FIELD, TYPE_TEXT, 0, "ADDRESS", "address and port, or \"none\""},
    {"signin", PLACE_FIELD, TYPE_BOOL, 0, NULL, "print a link that signs a browser in"},
    {"audit-interval", PLACE_FIELD, TYPE_TEXT, 0, "DURATION", "between two audits, or \"off\""},
    {"audit-shards", PLACE_FIELD, TYPE_TEXT, 0, "N", "how many audits look at everything once"},
    {NULL, PLACE_FIELD, TYPE_TEXT, 0, NULL, NULL},
};

static const struct api_parameter *find_flag(const struct api_parameter *table, const char *name, size_t bytes) {
    for (; table && table->name; table++) {
        if (strlen(table->name) == bytes && memcmp(table->name, name, bytes) == 0 && !api_is_positional(table) &&
            table->place != PLACE_ARGV)
            return table;
    }
    return NULL;
}

static int set_format(struct command_globals *globals, const char *text, struct hf_error *error) {
    static const char *const names[] = {"table", "json", "jsonl"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            globals->format = (enum output_format)i;
            return 0;
        }
    }
    return error_set(error, HF_ERR_INVALID, "read '-o %s': the formats are table, json and jsonl", text);
}

static int set_global(struct command_globals *globals, const char *name, const char *text, struct hf_error *error) {
    if (strcmp(name, "data") == 0)
        globals->data_dir = text;
    else if (strcmp(name, "socket") == 0)
        globals->socket_path = text;
    else if (strcmp(name, "o") == 0)
        return set_format(globals, text, error);
    else if (strcmp(name, "q") == 0)
        globals->quiet = 1;
    else if (strcmp(name, "y") == 0)
        globals->yes = 1;
    else if (strcmp(name, "n") == 0 || strcmp(name, "dry-run") == 0)
        globals->rehearse = 1;
    else
        globals->help = 1;
    return 0;
}

static int add_value(struct command_invocation *invocation, const struct api_parameter *parameter, const char *text,
                     struct hf_error *error) {
    int is_repeated = parameter->type == TYPE_LIST || parameter->type == TYPE_PAIRS;
    if (!is_repeated && command_value_of(invocation, parameter->name))
        return error_set(error, HF_ERR_INVALID, "read the command line: '%s' is given twice", parameter->name);
    invocation->values[invocation->value_count++] = (struct command_value){parameter, text};
    return 0;
}

static int set_serve(struct command_invocation *invocation, const char *name, const char *text) {
    if (strcmp(name, "listen") == 0)
        invocation->listen = text;
    else if (strcmp(name, "audit-interval") == 0)
        invocation->audit_interval = text;
    else if (strcmp(name, "audit-shards") == 0)
        invocation->audit_shards = text;
    else
        invocation->signin = 1;
    return 0;
}

static int unknown_flag(const struct command_invocation *invocation, const char *flag, struct hf_error *error) {
    error_set(error, HF_ERR_INVALID, "read the command line: there is no option '%s' here", flag);
    if (invocation->verb)
        error_hint(error, "holdfast %s %s --help lists the options", invocation->noun, invocation->verb);
    else
        error_hint(error, "holdfast --help lists what there is");
    return HF_ERR_INVALID;
}

/* --name VALUE, --name=VALUE, -n VALUE, --flag. */
static int parse_flag(struct command_invocation *invocation, struct cursor *cursor, struct hf_error *error) {
    const char *flag = cursor->argv[cursor->at++];
    const char *name = flag + (flag[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    int is_serve = text_is_equal(invocation->noun, "serve");
    const struct api_parameter *table = is_serve                ? serve_flags
                                        : invocation->operation ? invocation->operation->parameters
                                                                : NULL;
    const struct api_parameter *own = find_flag(table, name, bytes);
    const struct api_parameter *global = own ? NULL : find_flag(global_flags, name, bytes);
    const struct api_parameter *found = own ? own : global;
    if (!found)
        return unknown_flag(invocation, flag, error);
    const char *text = "true";
    if (equals && found->type == TYPE_BOOL)
        return error_set(error, HF_ERR_INVALID, "read the command line: '--%s' takes no value", found->name);
    if (equals)
        text = equals + 1;
    else if (found->type != TYPE_BOOL) {
        if (cursor->at >= cursor->argc)
            return error_set(error, HF_ERR_INVALID, "read the command line: '%s' needs a value (%s)", flag,
                             found->metavar ? found->metavar : "TEXT");
        text = cursor->argv[cursor->at++];
    }
    if (global)
        return set_global(&invocation->globals, found->name, text, error);
    return is_serve ? set_serve(invocation, found->name, text) : add_value(invocation, found, text, error);
}

/* `store export FILE`: the first word is a KIND only when it can be one. */
static int may_be(const struct api_parameter *parameter, const char *text) {
    int is_optional_kind = parameter->place == PLACE_WORD && strcmp(parameter->name, "kind") == 0;
    return !is_optional_kind || ids_check_kind(text, NULL) == 0;
}

static int add_positional(struct command_invocation *invocation, const char *text, struct hf_error *error) {
    const struct api_parameter *parameter = invocation->operation ? invocation->operation->parameters : NULL;
    for (; parameter && parameter->name; parameter++) {
        if (api_is_positional(parameter) && !command_has(invocation, parameter->name) && may_be(parameter, text))
            return add_value(invocation, parameter, text, error);
    }
    error_set(error, HF_ERR_INVALID, "read the command line: '%s' is one word too many", text);
    return error_hint(error, "holdfast %s%s%s --help shows how it is used", invocation->noun,
                      invocation->verb ? " " : "", invocation->verb ? invocation->verb : "");
}

static int is_noun(const char *noun) {
    for (const struct api_operation *operation = api_operations; operation->noun; operation++) {
        if (strcmp(operation->noun, noun) == 0)
            return 1;
    }
    return 0;
}

static int is_own_verb(const char *noun) {
    return strcmp(noun, "serve") == 0 || strcmp(noun, "help") == 0 || strcmp(noun, "version") == 0;
}

/* The first bare words: a noun, and its verb unless the noun stands alone. */
static int take_word(struct command_invocation *invocation, const char *word, struct hf_error *error) {
    if (!invocation->noun) {
        invocation->noun = word;
        invocation->operation = api_find(word, NULL);
        if (!invocation->operation && !is_own_verb(word) && !is_noun(word)) {
            error_set(error, HF_ERR_INVALID, "read the command line: there is no '%s'", word);
            return error_hint(error, "holdfast --help lists what there is");
        }
        if (strcmp(word, "help") == 0)
            invocation->globals.help = 1;
        return 0;
    }
    if (!invocation->operation && !invocation->verb && !is_own_verb(invocation->noun)) {
        invocation->verb = word;
        invocation->operation = api_find(invocation->noun, word);
        if (invocation->operation)
            return 0;
        error_set(error, HF_ERR_INVALID, "read the command line: '%s' has no verb '%s'", invocation->noun, word);
        return error_hint(error, "holdfast %s --help lists its verbs", invocation->noun);
    }
    return add_positional(invocation, word, error);
}

/* -n is for the verbs that know it: none other takes it and writes. */
static int take_rehearsal(struct command_invocation *invocation, struct hf_error *error) {
    const struct api_parameter *parameter = find_flag(invocation->operation->parameters, "dry-run", strlen("dry-run"));
    if (!invocation->globals.rehearse || command_has(invocation, "dry-run"))
        return 0;
    return parameter ? add_value(invocation, parameter, "true", error) : unknown_flag(invocation, "-n", error);
}

static int check_required(const struct command_invocation *invocation, struct hf_error *error) {
    for (const struct api_parameter *p = invocation->operation->parameters; p && p->name; p++) {
        int is_given =
            p->place == PLACE_ARGV ? invocation->child_argc > 0 : command_value_of(invocation, p->name) != NULL;
        int is_optional = p->place == PLACE_PATH && (invocation->operation->flags & OPERATION_ANY_KIND);
        if (!p->required || is_given || is_optional)
            continue;
        error_set(error, HF_ERR_INVALID, "read the command line: %s%s is missing", api_is_positional(p) ? "" : "--",
                  p->name);
        return error_hint(error, "for example: %s", invocation->operation->example);
    }
    return 0;
}

static int take_child_argv(struct command_invocation *invocation, const struct cursor *cursor, struct hf_error *error) {
    const struct api_parameter *p = invocation->operation ? invocation->operation->parameters : NULL;
    while (p && p->name && p->place != PLACE_ARGV)
        p++;
    if (!p || !p->name)
        return error_set(error, HF_ERR_INVALID, "read the command line: nothing may follow '--' here");
    invocation->child_argv = (const char *const *)(cursor->argv + cursor->at);
    invocation->child_argc = cursor->argc - cursor->at;
    return 0;
}

const char *command_value_of(const struct command_invocation *invocation, const char *name) {
    for (int i = 0; i < invocation->value_count; i++) {
        if (strcmp(invocation->values[i].parameter->name, name) == 0)
            return invocation->values[i].text;
    }
    return NULL;
}

int command_parse(int argc, char **argv, struct command_invocation *invocation, struct hf_error *error) {
    struct cursor cursor = {argc, 1, argv};
    invocation->values = arena_zalloc(&invocation->arena, (size_t)argc + 1 /* -n */, sizeof *invocation->values);
    if (!invocation->values)
        return error_set(error, HF_ERR_NO_MEMORY, "read the command line");
    while (cursor.at < cursor.argc) {
        const char *word = cursor.argv[cursor.at];
        int code = 0;
        if (!invocation->noun && strcmp(word, "--version") == 0) {
            invocation->noun = "version";
            return 0;
        }
        if (strcmp(word, "--") == 0) {
            cursor.at++;
            code = take_child_argv(invocation, &cursor, error);
            cursor.at = cursor.argc;
        } else if (word[0] == '-' && word[1] != '\0') {
            code = parse_flag(invocation, &cursor, error);
        } else {
            cursor.at++;
            code = take_word(invocation, word, error);
        }
        if (code != 0)
            return code;
    }
    if (invocation->globals.help || !invocation->noun || is_own_verb(invocation->noun))
        return 0;
    if (!invocation->operation) {
        error_set(error, HF_ERR_INVALID, "read the command line: say what to do with '%s'", invocation->noun);
        return error_hint(error, "holdfast %s --help lists its verbs", invocation->noun);
    }
    int code = take_rehearsal(invocation, error);
    return code == 0 ? check_required(invocation, error) : code;
}

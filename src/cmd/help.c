/* Help, from the operations table. */
#include "cmd/command.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char intro[] =
    "holdfast keeps the state of data collectors: what was acknowledged is never lost.\n"
    "\n"
    "usage: holdfast [--data DIR] [--socket PATH] [-o table|json|jsonl] [-q] [-y] [-n] NOUN VERB …\n"
    "       holdfast --data DIR serve [--listen 127.0.0.1:7420|none] [--signin]\n"
    "\n"
    "A daemon that runs is used through its socket; without one the command works on the store itself.\n";

static const char serve_help[] =
    "usage: holdfast [--data DIR] [--socket PATH] serve [--listen ADDRESS:PORT|none] [--signin]\n"
    "                [--audit-interval TIME|off] [--audit-shards N]\n"
    "\n"
    "Runs the daemon in the foreground: restores what ran, supervises the sources, serves HTTP on loopback and on the\n"
    "Unix socket. Prints one line with its address when it is ready. SIGTERM and SIGINT end it in order.\n"
    "\n"
    "  --listen ADDRESS:PORT  a loopback address; port 0 takes a free one; \"none\": the socket only\n"
    "                         (default 127.0.0.1:7420)\n"
    "  --signin               after that, print a link, good once, that signs a browser in\n"
    "  --audit-interval TIME  between two looks at a part of what is stored; 0 or off: none\n"
    "                         (default 10s, or $HOLDFAST_AUDIT_INTERVAL)\n"
    "  --audit-shards N       so many of them look at everything once (default 5, or $HOLDFAST_AUDIT_SHARDS)\n"
    "\n"
    "example: holdfast --data ./data serve --listen 127.0.0.1:7420\n";

static void print_usage(const struct api_operation *operation, FILE *out) {
    fprintf(out, "usage: holdfast %s%s%s", operation->noun, operation->verb ? " " : "",
            operation->verb ? operation->verb : "");
    const char *argv = NULL;
    int has_options = 0;
    for (const struct api_parameter *p = operation->parameters; p && p->name; p++) {
        if (p->place == PLACE_ARGV) {
            argv = p->metavar ? p->metavar : "COMMAND …";
        } else if (api_is_positional(p)) {
            int is_optional = !p->required || (operation->flags & OPERATION_ANY_KIND);
            fputs(is_optional ? " [" : " ", out);
            for (const char *c = p->metavar ? p->metavar : p->name; *c; c++)
                fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, out);
            fputs(is_optional ? "]" : "", out);
        } else {
            has_options = 1;
        }
    }
    fprintf(out, "%s%s%s\n", has_options ? " [option …]" : "", argv ? " -- " : "", argv ? argv : "");
}

static void print_parameter(const struct api_operation *operation, const struct api_parameter *p, FILE *out) {
    static const char *const metavars[] = {"TEXT", "NUMBER", "DURATION", NULL, "TEXT"};
    char left[64];
    const char *metavar = p->metavar ? p->metavar : metavars[p->type];
    int is_required = p->required && !(p->place == PLACE_PATH && (operation->flags & OPERATION_ANY_KIND));
    if (api_is_positional(p))
        snprintf(left, sizeof left, "%s", p->name);
    else if (p->place == PLACE_ARGV)
        snprintf(left, sizeof left, "-- %s", metavar ? metavar : "COMMAND …");
    else
        snprintf(left, sizeof left, "%s%s%s%s", p->name[1] ? "--" : "-", p->name, metavar ? " " : "",
                 metavar ? metavar : "");
    fprintf(out, "  %-24s %s%s\n", left, p->help, is_required ? " (required)" : "");
}

static void print_operation(const struct api_operation *operation, FILE *out) {
    print_usage(operation, out);
    fprintf(out, "\n%s.\n", operation->summary);
    if (operation->description)
        fprintf(out, "%s\n", operation->description);
    if (operation->parameters && operation->parameters->name)
        fputc('\n', out);
    for (const struct api_parameter *p = operation->parameters; p && p->name; p++)
        print_parameter(operation, p, out);
    fprintf(out, "\nexample: %s\n", operation->example);
    if (operation->path)
        fprintf(out, "HTTP:    %s %s (scope %s)\n", operation->method, operation->path,
                api_scope_name(operation->scope));
}

static void print_verbs(const char *noun, FILE *out) {
    for (const struct api_operation *operation = api_operations; operation->noun; operation++) {
        char words[64];
        if (noun && strcmp(noun, operation->noun) != 0)
            continue;
        snprintf(words, sizeof words, "%s%s%s", operation->noun, operation->verb ? " " : "",
                 operation->verb ? operation->verb : "");
        fprintf(out, "  %-18s %s\n", words, operation->summary);
    }
}

void command_help(const struct command_invocation *invocation, void *stream) {
    FILE *out = stream;
    if (text_is_equal(invocation->noun, "serve")) {
        fputs(serve_help, out);
    } else if (invocation->operation) {
        print_operation(invocation->operation, out);
    } else if (invocation->noun && !text_is_equal(invocation->noun, "help")) {
        print_verbs(invocation->noun, out);
        fprintf(out, "\nholdfast %s VERB --help tells more.\n", invocation->noun);
    } else {
        fputs(intro, out);
        fputs("\n  serve              run the daemon\n", out);
        print_verbs(NULL, out);
        fputs("  version            print the version\n\nholdfast NOUN VERB --help tells more, with an example.\n",
              out);
    }
}

#include "conform.h"

int main(void) {
    struct conform target = {.ops = &store_tree_ops, .is_durable = 1, .place = "/tree?layout=kind", .is_failing = 1};
    return conform_run(&target);
}

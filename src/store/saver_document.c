/* What the owner gives when he is asked: a text that he adds or lends, or a reason why there is none. */
#include "store/saver_inside.h"

enum { KEEP_BYTES = 1 << 20 };

static void refuse(struct hf_document *document, int code, const char *problem) {
    if (document->code != 0)
        return;
    document->code = code;
    document->problem = problem;
}

void hf_document_add(struct hf_document *document, const char *json, size_t bytes) {
    if (document->lends > 0) {
        refuse(document, HF_ERR_INVALID, "a text was lent and another one added");
    } else if (!json && bytes > 0) {
        refuse(document, HF_ERR_INVALID, "the text is NULL");
    } else if (document->code == 0 && bytes > document->max_bytes - document->text.size) {
        refuse(document, HF_ERR_TOO_LARGE, "it is over the store's limit");
    } else if (document->code == 0) {
        buf_add(&document->text, json, bytes);
        if (document->text.failed)
            refuse(document, HF_ERR_NO_MEMORY, "memory is used up");
    }
}

/* Counted in any case: each lend is returned. */
void hf_document_lend(struct hf_document *document, const char *json, size_t bytes) {
    if (document->lends++ > 0 || document->text.size > 0)
        refuse(document, HF_ERR_INVALID, "more than one text was given");
    else if (!json && bytes > 0)
        refuse(document, HF_ERR_INVALID, "the text is NULL");
    document->lent = json;
    document->lent_bytes = bytes;
}

/* Owners return what they like; what they mean by a positive number is not known. */
static int owners_code(int code, struct hf_error *error) {
    if (code > 0)
        return error_set(error, HF_ERR_BAD_DATA, "the owner could not give it (%d)", code);
    return error_set(error, code, "the owner could not give it: %s", hf_code_text(code));
}

int saver_ask(const struct hf_saver *saver, const struct saver_key *key, void *tag, struct hf_document *document,
              const char **ret_text, size_t *ret_bytes, struct hf_error *error) {
    const struct hf_saver_options *options = &saver->options;
    int code = options->give(options->arg, key->kind, saver_key_id(key), tag, document);
    if (code == HF_ERR_NOT_FOUND)
        return code;
    if (code != 0)
        return owners_code(code, error);
    if (document->code != 0)
        return error_set(error, document->code, "take the document: %s", document->problem);
    *ret_text = document->lends > 0 ? document->lent : buf_text(&document->text);
    *ret_bytes = document->lends > 0 ? document->lent_bytes : document->text.size;
    return 0;
}

void saver_return(const struct hf_saver *saver, const struct saver_key *key, void *tag, struct hf_document *document) {
    const struct hf_saver_options *options = &saver->options;
    for (; document->lends > 0; document->lends--)
        if (options->returned)
            options->returned(options->arg, key->kind, saver_key_id(key), tag);
    document->code = 0;
    document->lent = NULL;
    if (document->text.room > KEEP_BYTES || document->text.failed) {
        buf_fini(&document->text);
        buf_init(&document->text);
    }
    buf_clear(&document->text);
}

void saver_scratch_init(struct saver_scratch *scratch, const struct hf_saver *saver) {
    scratch->document = (struct hf_document){.max_bytes = saver->limits->max_bytes};
    buf_init(&scratch->document.text);
    json_init(&scratch->json);
    buf_init(&scratch->canonical);
}

void saver_scratch_fini(struct saver_scratch *scratch) {
    buf_fini(&scratch->document.text);
    json_fini(&scratch->json);
    buf_fini(&scratch->canonical);
}

/* Kinds, ids and names: what is acceptable (the rules are in holdfast.h), and ids as file names. */
#ifndef HF_DATA_IDS_H
#define HF_DATA_IDS_H

#include "base/error.h"

/* 0, or HF_ERR_BAD_ID with the byte that is wrong in the message and what to do in the hint. */
int ids_check_kind(const char *kind, struct hf_error *error);

/* Refused as well: the bidirectional controls U+202A to U+202E and U+2066 to U+2069, which make an id look like another
 * one. Nothing is normalised: ids that differ in case or in the composition of characters are different ids. */
int ids_check(const char *id, size_t bytes, struct hf_error *error);

/* For sources and tokens, which are also given on command lines: an id that does not begin with '-'. */
int ids_check_name(const char *name, struct hf_error *error);

/* An id as the name of a file or folder: every byte but [A-Za-z0-9_.-] becomes %XX, and so do leading dots. Different
 * ids have different names (on file systems that tell capitals from small letters). An id whose name would be longer
 * than 255 bytes gets the beginning of that name, "%-", and the BLAKE2b-256 of the id in hex: still its own, but there
 * is no way back. `id` must have passed ids_check. Returns the length. */
enum { IDS_FILENAME_BYTES = 256 };
size_t ids_to_filename(const char *id, size_t bytes, char ret_name[IDS_FILENAME_BYTES]);
/* The same for a name that something is put behind: shortened when it would be longer than max_bytes (66 to 255). */
size_t ids_to_filename_within(const char *id, size_t bytes, size_t max_bytes, char ret_name[IDS_FILENAME_BYTES]);

/* The way back. HF_ERR_BAD_ID when no id has this name, or when it is a shortened one. */
int ids_from_filename(const char *name, char ret_id[HF_ID_MAX + 1], struct hf_error *error);

#endif

/* Events as a stream (text/event-stream). A stream holds a cursor and at most one piece of text: who reads slowly is
 * read for slowly, from the store, and costs no more memory than who reads fast. Who falls behind what the store keeps
 * is told to read everything again. */
#include <string.h>
#include <strings.h>

#include "api/event.h"
#include "api/http_inside.h"
#include "base/text.h"

enum { PIECE_BYTES = 32 * 1024, HEARTBEAT_MS = 15000, BLOCK_BYTES = 16 * 1024, ENOUGH = 1 };

struct stream {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct http_peer *peer;
    uint64_t cursor; /* everything up to this revision was written to `text` */
    struct buf text;
    size_t sent;         /* of text */
    uint64_t generation; /* of the credentials when it began */
    atomic_int is_late;
    struct waiter waiter;
};

int http_wants_stream(const struct http_request *request) {
    const char *accept = http_header(request, "Accept");
    return request->call.operation == api_find("store", "events") && accept && strcasestr(accept, "text/event-stream");
}

static void end_event(struct stream *stream, uint64_t revision) {
    buf_printf(&stream->text, "id: %llu\n\n", (unsigned long long)revision);
}

/* The id stands with the last event of a revision only: who comes back with it has seen all of that revision. */
static int visit_event(void *arg, const struct hf_event *event) {
    struct stream *stream = arg;
    struct json_writer json;
    int is_next = event->revision != stream->cursor;
    if (is_next && stream->text.size > 0)
        end_event(stream, stream->cursor);
    else if (stream->text.size > 0)
        buf_add_text(&stream->text, "\n");
    if (is_next && stream->text.size >= PIECE_BYTES)
        return ENOUGH;
    buf_add_text(&stream->text, "data: ");
    json_writer_init(&json, &stream->text, 0);
    event_write(&json, event);
    buf_add_text(&stream->text, "\n");
    stream->cursor = event->revision;
    return 0;
}

/* -1 when the stream must end. */
static int fill(struct stream *stream) {
    uint64_t before = stream->cursor;
    buf_clear(&stream->text);
    stream->sent = 0;
    if (hf_store_revision(stream->server->context->store) <= before)
        return 0;
    int code = hf_store_events(stream->server->context->store, before, 0, visit_event, stream, NULL);
    if (code == HF_ERR_COMPACTED) {
        stream->cursor = hf_store_revision(stream->server->context->store);
        buf_clear(&stream->text);
        buf_printf(&stream->text, "event: resync\ndata: {\"revision\":%llu}\nid: %llu\n\n",
                   (unsigned long long)stream->cursor, (unsigned long long)stream->cursor);
    } else if (code == 0 && stream->text.size > 0) {
        end_event(stream, stream->cursor);
    }
    return code < 0 && code != HF_ERR_COMPACTED ? -1 : stream->text.failed ? -1 : 0;
}

static void wake(struct waiter *waiter, int is_late) {
    struct stream *stream = (struct stream *)((char *)waiter - offsetof(struct stream, waiter));
    struct http_server *server = stream->server;
    atomic_store(&stream->is_late, is_late);
    MHD_resume_connection(stream->connection); /* the stream may be gone from here on */
    atomic_fetch_sub(&server->working, 1);
}

static ssize_t give(struct stream *stream, char *out, size_t room) {
    size_t bytes = stream->text.size - stream->sent;
    bytes = bytes < room ? bytes : room;
    memcpy(out, stream->text.data + stream->sent, bytes);
    stream->sent += bytes;
    return (ssize_t)bytes;
}

static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t room) {
    struct stream *stream = arg;
    (void)position;
    if (atomic_load(&stream->server->is_closing) ||
        stream->generation !=
            auth_generation(stream->server->auth)) /* a token was taken back: come again and show yours */
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (stream->sent < stream->text.size)
        return give(stream, out, room);
    if (fill(stream) != 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (stream->text.size == 0 && atomic_exchange(&stream->is_late, 0))
        buf_add_text(&stream->text, ":\n\n");
    if (stream->text.size > 0)
        return give(stream, out, room);
    atomic_fetch_add(&stream->server->working, 1);
    if (atomic_load(&stream->server->is_stopped)) {
        atomic_fetch_sub(&stream->server->working, 1);
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    MHD_suspend_connection(stream->connection);
    herald_wait(stream->server->herald, &stream->waiter, stream->cursor, HEARTBEAT_MS);
    return 0;
}

static void free_stream(void *arg) {
    struct stream *stream = arg;
    buf_fini(&stream->text);
    mem_free(stream);
}

/* Where to begin: where an earlier stream ended, or ?since=, or now. */
static int read_cursor(struct http_request *request, uint64_t *ret_cursor) {
    const char *last = http_header(request, "Last-Event-ID");
    const char *since = request->call.parameter(&request->call, "since");
    const char *text = last && last[0] ? last : since;
    uint64_t cursor = hf_store_revision(request->server->context->store);
    if (text && text_to_u64(text, &cursor) != 0)
        return error_set(&request->call.error, HF_ERR_INVALID, "read the revision '%.40s': a whole number is needed",
                         text);
    *ret_cursor = cursor;
    return 0;
}

static struct stream *new_stream(struct http_request *request, uint64_t cursor) {
    struct stream *stream = MEM_NEW(struct stream);
    if (!stream)
        return NULL;
    stream->server = request->server;
    stream->connection = request->connection;
    stream->peer = request->peer;
    stream->cursor = cursor;
    stream->generation = auth_generation(request->server->auth);
    stream->waiter.wake = wake;
    buf_init(&stream->text);
    buf_printf(&stream->text, "retry: 1000\nevent: hello\ndata: {\"revision\":%llu}\n\n", (unsigned long long)cursor);
    return stream;
}

enum MHD_Result http_stream(struct http_request *request) {
    uint64_t cursor = 0;
    int code = read_cursor(request, &cursor);
    if (code != 0) {
        api_reply(&request->call, code);
        return http_send(request);
    }
    struct stream *stream = new_stream(request, cursor);
    struct MHD_Response *response =
        stream ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, free_stream)
               : NULL;
    if (!response) {
        if (stream)
            free_stream(stream);
        return MHD_NO;
    }
    http_add_static_headers(response);
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    herald_set_phase(request->server->herald, request->peer, HTTP_PHASE_STREAM);
    http_count_reply(request->server, MHD_HTTP_OK);
    enum MHD_Result result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

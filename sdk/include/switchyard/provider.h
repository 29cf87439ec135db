/* provider.h - interface "swy.provider/0" (a draft): one family of upstream APIs as a state machine
 * without I/O.
 *
 * The host starts an operation for each attempt and hands it events; the operation answers each
 * with the next step. Everything a provider does on the network the host does for it: connecting,
 * TLS, pooling, signing, framing, decompression, deadlines. JSON that crosses here is canonical
 * unless a flag says native: see CANONICAL.md. */
#ifndef SWITCHYARD_PROVIDER_H
#define SWITCHYARD_PROVIDER_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SWY_PROVIDER_IFACE "swy.provider/0"

/* swy_kind.caps of a provider is a JSON object:
 *   "tasks":    array of the tasks it does, named in CANONICAL.md section 2: "chat", "embeddings",
 *               "audio.transcriptions", "videos", "realtime", ...
 *   "dialects": array of the client dialects it takes natively, such as "openai"; "canonical" is
 *               always understood.
 *   "dialects_if": object of dialects that an instance takes only where its configuration has true
 *               at a JSON pointer: {"openai-responses": "/responses"}. May be absent. */

/* An upload that the host holds; the plugin names ranges of it in gather lists. The body of a
 * request says where each stands: {"$blob": id}. Blob 0 is the body itself and is not listed. */
typedef struct swy_blob {
  uint32_t size, flags;
  uint64_t id, len;
  swy_str field, mime, name;
} swy_blob;

#define SWY_REQ_STREAM 1u     /* the client wants a stream */
#define SWY_REQ_RESUME 2u     /* goes on from `resume`, which an earlier operation kept */
#define SWY_REQ_WANT_USAGE 4u /* the client asked to see usage in the stream */
#define SWY_REQ_NATIVE \
  8u /* body is in `dialect`, which the plugin declared; otherwise it is canonical */

/* What is asked. Lives, with all it points at, until op_free of the operation returns. */
typedef struct swy_req {
  uint32_t size, flags; /* SWY_REQ_* */
  swy_str id;           /* the request's id, for logs */
  swy_str task;         /* "chat", "embeddings", ... one of the caps */
  swy_str dialect;      /* of body, where SWY_REQ_NATIVE is set */
  swy_str model;        /* the upstream's own name of the model */
  swy_str body;         /* valid JSON, or empty */
  /* The members of the body's top-level object, in order, no name twice. The host has scanned the
   * body already. */
  const swy_member* member;
  uint32_t nmember, member_stride;
  const swy_kv*
      hdr; /* the client's headers that the allow-list lets through, names in lower case */
  const swy_kv*
      cred; /* public parts of the credential (project, location, deployment ...), never a secret */
  uint32_t nhdr, ncred;
  const swy_blob* blob;
  uint32_t nblob, blob_stride;
  swy_str resume;
  uint64_t deadline_ns; /* monotonic; 0 is none */
} swy_req;

/* Events. The host sends no kind younger than the library's minor; an unknown kind is answered
 * SWY_E_UNSUP. */
#define SWY_EV_START 1u /* begin; answered with SEND, WAIT, DONE or FAIL */
#define SWY_EV_HEAD 2u  /* status and headers of the answer have come */
#define SWY_EV_DATA                                                                             \
  3u /* one frame, under the framing that req_begin asked for; name is the SSE event's name, or \
        the */
     /* AWS message's :event-type, "exception:" and its :exception-type, or "error:" and its */
     /* :error-code */
#define SWY_EV_END 4u /* the exchange ended well: the answer is whole */
#define SWY_EV_IOERR \
  5u /* the exchange broke; data says how, for people; status is a SWY_CLS_* value */
#define SWY_EV_TIMER 6u /* the delay of WAIT is over */
#define SWY_EV_SIGN                                                                             \
  7u /* about to send a request whose scheme is "sign": answer with req_header or req_query and \
        FEED; */
     /* ev.sign has the facts, sign.h the means */
#define SWY_EV_CANCEL                                                                         \
  8u /* the client left, whatever was under way is cut: SEND one last request (delete a job), \
        which has */
/* ten seconds with its answer, or DONE; op_free follows */
#define SWY_EV_UP_MSG 9u    /* WebSocket: a message from the upstream; name is "text" or "binary" */
#define SWY_EV_DOWN_MSG 10u /* WebSocket: a message from the client; name as above */
#define SWY_EV_CLOSED \
  11u /* WebSocket: one side is gone: name is "upstream" or "client", status its */
      /* close code, 1005 where its Close had none, 1006 where it left without */
      /* one (outside a session that is IOERR); data is the reason */

/* What a signature is made over. Borrowed for the call. */
typedef struct swy_sign_facts {
  uint32_t size, flags;
  swy_str method, url; /* the absolute URL as it will be sent */
  const swy_kv* hdr;   /* headers as they will be sent, names in lower case, host among them */
  uint32_t nhdr, pad;
  uint64_t unix_ms; /* wall clock */
  uint8_t body_sha256[32];
} swy_sign_facts;

typedef struct swy_ev {
  uint32_t size, kind;
  uint32_t xid; /* the exchange it belongs to, as given to req_begin */
  uint32_t status, nhdr, flags;
  const swy_kv* hdr; /* names in lower case */
  swy_str name, data;
  uint64_t now_ns;            /* monotonic */
  const swy_sign_facts* sign; /* of SWY_EV_SIGN, else NULL */
} swy_ev;

/* What the operation wants next. */
#define SWY_ACT_FEED 0u /* give me the next event */
#define SWY_ACT_SEND 1u /* send the request that was written through swy_out */
#define SWY_ACT_WAIT 2u /* call me with TIMER after delay_ns; a session's messages go on coming */
#define SWY_ACT_DONE 3u /* finished well */
#define SWY_ACT_FAIL 4u /* finished badly: err says how */

/* Zeroed by the host, filled by the callee. */
typedef struct swy_next {
  uint32_t size, act;
  uint64_t delay_ns;
} swy_next;

/* How the host cuts an answer into DATA events. An answer of status 400 or above always comes
 * whole, and so does one of content-type application/json where SSE was asked for: HEAD tells. */
#define SWY_FRAME_WHOLE 0u /* one event with the whole body */
#define SWY_FRAME_RAW 1u   /* bytes as they come */
#define SWY_FRAME_SSE \
  2u /* one event per server-sent event: data holds its data lines joined by LF */
#define SWY_FRAME_NDJSON 3u /* one event per line */
#define SWY_FRAME_AWS \
  4u /* one event per AWS event-stream message: its payload, checksums verified */
#define SWY_FRAME_WEBSOCKET \
  5u /* the request, a GET, asks for an upgrade; HEAD has status 101, then UP_MSG, DOWN_MSG and */
     /* CLOSED; any other status comes whole. The client is accepted once HEAD was answered FEED. */
     /* DONE closes with 1000 where the plugin did not. Without a session UP_MSGs are the answer. */
#define SWY_FRAME_TOKEN                                                                          \
  6u /* the answer is a credential, which the host keeps (req_token): the operation sees END, or \
        of                                                                                       \
        a */
     /* refusal (status 300 or above) HEAD, DATA and END */

/* What emit() hands over. */
#define SWY_EMIT_HEAD \
  1u /* before RAW: {"content_type":"video/mp4"} and, where it is known, "content_length" */
#define SWY_EMIT_DELTA 2u /* one streamed piece: a chunk of the task's stream form */
#define SWY_EMIT_USAGE \
  3u /* usage so far, cumulative: an object as in CANONICAL.md; the last report wins */
#define SWY_EMIT_JOB 4u   /* state of a job: an object as in CANONICAL.md; follows keep() */
#define SWY_EMIT_RAW 5u   /* bytes of a binary answer */
#define SWY_EMIT_WHOLE 6u /* the whole answer as one document */
#define SWY_EMIT_LIMITS \
  7u /* learned limits: {"rpm","tpm","remaining_requests","remaining_tokens","reset_ms"} */
#define SWY_EMIT_ERROR \
  8u /* before FAIL: the error object {"message","type","param","code"} for the client */
#define SWY_EMIT_FINISH \
  9u /* why the answer ended, for the record: "stop", "length", "tool_calls", "content_filter" */
#define SWY_EMIT_DROPPED                                                                   \
  10u /* what of the request does not reach the upstream as it was meant: an array of JSON \
         pointers; lists add up */

#define SWY_EMIT_CONTENT                                                                          \
  1u /* flag of DELTA: holds text, reasoning or a tool call; until one came, failover is possible \
      */
#define SWY_EMIT_NATIVE \
  2u /* flag of DELTA and WHOLE: in the client's dialect, goes out byte for byte */

/* Owned by the host, usable only inside the call it came with.
 * A view into swy_req.body or swy_ev.data may be handed over: the host copies only where it must.
 */
typedef struct swy_out {
  uint32_t size, flags;
  void* ctx;
  /* Opens a request. url: a path with query below the instance's base URL ("/chat/completions"), or
   * an absolute URL. On another origin than the base URL's a request carries no credential and goes
   * to public addresses only, unless the configuration names that origin for this instance. xid:
   * chosen by the plugin, comes back in events. */
  swy_rc(SWY_CALL* req_begin)(void* ctx, swy_str method, swy_str url, uint32_t xid,
                              uint32_t framing);
  /* Adds a header. Framing and hop-by-hop names, host and (but in SIGN) authorization are refused
   * with SWY_E_ARG. */
  swy_rc(SWY_CALL* req_header)(void* ctx, swy_str k, swy_str v);
  /* How the host puts the pinned credential in when it sends. scheme and name: ("bearer", ""),
   * ("header", NAME), ("header", "NAME: PREFIX") where PREFIX stands right before the secret,
   * ("query", NAME), ("sign", "") which asks for SWY_EV_SIGN, or ("none", ""). slot: which secret:
   * empty for the credential's key, a JSON pointer into a key that is a JSON document, or the name
   * of a token (req_token). SWY_E_ARG where there is no such secret, or the request goes where no
   * credential may. No key ever reaches a plugin. */
  swy_rc(SWY_CALL* req_auth)(void* ctx, swy_str scheme, swy_str name, swy_str slot);
  /* Opens a multipart/form-data part, whose content the following req_body calls append; hdr: its
   * headers, content-disposition first. The host owns the boundary and the request's content-type,
   * which is not to be set beside it. */
  swy_rc(SWY_CALL* req_part)(void* ctx, const swy_kv* hdr, uint32_t n);
  /* Appends a gather list to the body. */
  swy_rc(SWY_CALL* req_body)(void* ctx, const swy_seg* seg, uint32_t n);
  /* Hands a result to the host: SWY_EMIT_*, and its flags. */
  swy_rc(SWY_CALL* emit)(void* ctx, uint32_t what, uint32_t flags, swy_str data);
  /* Keeps a token, at most 64 KiB, with which a later operation resumes this job over restarts and
   * swaps. The last one wins. Only in operations on jobs (CANONICAL.md section 8). */
  swy_rc(SWY_CALL* keep)(void* ctx, swy_str resume);
  /* Sends one WebSocket message, to the client or to the upstream. opcode: 1 text, 2 binary, 8
   * close (two bytes of code, then a reason; or nothing). To the upstream from HEAD on, to the
   * client behind it. SWY_SLOW: whose event this is will not be heard before the receiver has
   * caught up. */
  swy_rc(SWY_CALL* ws_send)(void* ctx, uint32_t to_client, uint32_t opcode, const swy_seg* seg,
                            uint32_t n);
  /* Adds a query parameter to the request that is being signed, percent-encoded by the host. */
  swy_rc(SWY_CALL* req_query)(void* ctx, swy_str k, swy_str v);
  /* Of a request with SWY_FRAME_TOKEN: the name under which the host keeps the token, and JSON
   * pointers to it and to its life in seconds in the answer; five minutes where ttl_at finds no
   * number. Names begin with another character than '/'. */
  swy_rc(SWY_CALL* req_token)(void* ctx, swy_str name, swy_str value_at, swy_str ttl_at);
  /* SWY_OK where the host holds a token of that name for this credential which lives a minute
   * longer, else SWY_E_UNSUP. */
  swy_rc(SWY_CALL* has_token)(void* ctx, swy_str name);
} swy_out;

/* Order: open { op_new op_step* op_free }* close. Operations of one instance run in parallel. */
typedef struct swy_provider {
  uint32_t size, flags;

  /* Makes an instance of a configuration, which the host has checked against the kind's schema. No
   * I/O. cfg: JSON, borrowed for the call. host, tag: live until close. inst: receives the
   * instance; untouched on failure. [ctl] */
  swy_rc(SWY_CALL* open)(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err);

  /* No operation is alive. [ctl] */
  void(SWY_CALL* close)(void* inst);

  /* Starts one operation. Cheap; sends nothing.
   * req: lives until op_free. op: receives the operation's state; untouched on failure. [op] */
  swy_rc(SWY_CALL* op_new)(void* inst, const swy_req* req, void** op, swy_err* err);

  /* Takes one event, answers with the next step. Not re-entrant. After DONE, FAIL or a negative
   * return only op_free follows; a negative return is the plugin's own fault. ev, out, next, err:
   * borrowed for the call. [op] */
  swy_rc(SWY_CALL* op_step)(void* op, const swy_ev* ev, const swy_out* out, swy_next* next,
                            swy_err* err);

  /* Ends the operation and the life of its req. Exactly once for each good op_new, between steps,
   * at any time. [op] */
  void(SWY_CALL* op_free)(void* op);
} swy_provider;

#ifdef __cplusplus
}
#endif
#endif

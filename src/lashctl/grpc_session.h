/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's HTTP/2 session.
 */
#ifndef LASH_LASHCTL_GRPC_SESSION_H
#define LASH_LASHCTL_GRPC_SESSION_H

#include <nghttp2/nghttp2.h>

/* What nghttp2 reports, to `context`. */
struct grpc_session_events {
    nghttp2_on_header_callback header;
    nghttp2_on_data_chunk_recv_callback data;
    nghttp2_on_stream_close_callback close;
    nghttp2_on_frame_recv_callback frame;
};

/* A session whose first frames, which ask for wide windows, are yet to be sent. NULL when memory ran out. */
nghttp2_session *grpc_session_new(const struct grpc_session_events *events, void *context);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * member add, promote, remove and update.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lash/raft.h"
#include "lashctl/endpoints.h"
#include "lashctl/flags.h"
#include "lashctl/output.h"
#include "rpc.pb-c.h"

/* ---- Arguments ------------------------------------------------------------------------------------- */

/* What etcdctl notices only after the change, and exits with the same words. */
static int member_check_format(const struct ctl *ctl) {
    if (ctl->format == CTL_SIMPLE || ctl->format == CTL_JSON)
        return CTL_OK;
    return ctl_fail(CTL_BAD_FEATURE, "%s not supported as output format",
                    ctl->format == CTL_TABLE ? "table" : "fields");
}

/* The one argument, a member's id. Returns an exit code. */
static int member_parse_id(const struct arguments *arguments, uint64_t *id) {
    if (arguments->count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "member ID is not provided");
    const char *word = arguments->words[0];
    char *end = NULL;
    errno = 0;
    *id = strtoull(word, &end, 16);
    bool digits = isxdigit((unsigned char)word[0]) && !(word[0] == '0' && (word[1] == 'x' || word[1] == 'X'));
    if (!digits || *end != '\0' || errno)
        return ctl_fail(CTL_BAD_ARGUMENTS,
                        "bad member ID arg (strconv.ParseUint: parsing \"%s\": %s), expecting ID in Hex", word,
                        digits && *end == '\0' ? "value out of range" : "invalid syntax");
    return CTL_OK;
}

/* A peer URL, by the rules that etcd's clients check. Returns an exit code. */
static int member_check_url(const char *url) {
    const char *rest = strstr(url, "://");
    size_t scheme = rest ? (size_t)(rest - url) : 0;
    bool http = (scheme == 4 && strncmp(url, "http", 4) == 0) || (scheme == 5 && strncmp(url, "https", 5) == 0);
    if (!http)
        return ctl_fail(CTL_ERROR, "URL scheme must be http, https, unix, or unixs: %s", url);
    const char *host = rest + strlen("://");
    const char *path = strchr(host, '/');
    size_t size = path ? (size_t)(path - host) : strlen(host);
    const char *end = host[0] == '[' ? memchr(host, ']', size) : host;
    if (!end || !memchr(end, ':', size - (size_t)(end - host)))
        return ctl_fail(CTL_ERROR, "URL address does not have the form \"host:port\": %s", url);
    return path ? ctl_fail(CTL_ERROR, "URL must not contain a path: %s", url) : CTL_OK;
}

/* The URLs of --peer-urls, split at commas; they and their texts are one allocation, for mem_free. */
struct member_urls {
    char **list;
    size_t count;
};

static int member_parse_urls(const char *text, struct member_urls *urls) {
    size_t size = strlen(text) + 1, room = 1;
    if (size == 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "member peer urls not provided");
    for (const char *at = text; *at; at++)
        room += *at == ',';
    *urls = (struct member_urls){.list = mem_alloc(room * sizeof *urls->list + size)};
    LASH_ASSERT(urls->list != NULL);
    char *at = (char *)(urls->list + room);
    memcpy(at, text, size);
    for (char *comma; at; at = comma ? comma + 1 : NULL) {
        comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        while (isspace((unsigned char)*at))
            at++;
        for (size_t length = strlen(at); length > 0 && isspace((unsigned char)at[length - 1]); length--)
            at[length - 1] = '\0';
        urls->list[urls->count++] = at;
    }
    int rc = CTL_OK;
    for (size_t i = 0; i < urls->count && rc == CTL_OK; i++)
        rc = member_check_url(urls->list[i]);
    if (rc != CTL_OK)
        mem_free(urls->list);
    return rc;
}

/* What a member's priority is to be; nothing when `text` is empty. Returns an exit code. */
static int member_parse_priority(const char *text, uint32_t *priority) {
    char *end = NULL;
    unsigned long value = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : 0;
    if (*text && (!end || *end || value > LASH_RAFT_PRIORITY_MAX))
        return ctl_fail(CTL_BAD_ARGUMENTS, "--priority=%s is not a number between 0 and %d", text,
                        LASH_RAFT_PRIORITY_MAX);
    *priority = (uint32_t)value;
    return CTL_OK;
}

/* etcd, and lashd before it knew priorities, pass over what they do not know. Returns an exit code. */
static int member_check_priority(Etcdserverpb__Member *const *members, size_t count, uint64_t id, uint32_t priority) {
    for (size_t at = 0; at < count; at++)
        if (members[at]->id == id && members[at]->priority == priority)
            return CTL_OK;
    return ctl_fail(CTL_ERROR, "the server does not know priorities: the member has none");
}

/* ---- Calls ----------------------------------------------------------------------------------------- */

static ProtobufCMessage *member_call(const struct ctl *ctl, const char *path, const ProtobufCMessage *request,
                                     const ProtobufCMessageDescriptor *type, int *rc) {
    struct grpc_status status;
    ProtobufCMessage *response = endpoints_call(ctl, ENDPOINTS_WRITE, path, request, type, &status);
    *rc = response ? CTL_OK : ctl_fail_status(&status);
    return response;
}

/* Print what became of a change, and free it. */
static int member_report(const struct ctl *ctl, const char *what, uint64_t id,
                         const Etcdserverpb__ResponseHeader *header, ProtobufCMessage *response) {
    if (ctl->format == CTL_JSON)
        output_message_json(response);
    else
        printf("Member %16" PRIx64 " %s cluster %16" PRIx64 "\n", id, what, header ? header->cluster_id : 0);
    grpc_message_free(response);
    return CTL_OK;
}

/* ---- The verbs ------------------------------------------------------------------------------------- */

int member_remove(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const struct flag table[] = {{NULL, 0, FLAG_BOOL, NULL, NULL, NULL}};
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    Etcdserverpb__MemberRemoveRequest request = ETCDSERVERPB__MEMBER_REMOVE_REQUEST__INIT;
    if (arguments.done)
        return arguments.exit_code;
    int rc = member_parse_id(&arguments, &request.id);
    if (rc == CTL_OK)
        rc = member_check_format(ctl);
    if (rc != CTL_OK)
        return rc;
    Etcdserverpb__MemberRemoveResponse *response =
        (Etcdserverpb__MemberRemoveResponse *)member_call(ctl, "/etcdserverpb.Cluster/MemberRemove", &request.base,
                                                          &etcdserverpb__member_remove_response__descriptor, &rc);
    return response ? member_report(ctl, "removed from", request.id, response->header, &response->base) : rc;
}

int member_promote(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const struct flag table[] = {{NULL, 0, FLAG_BOOL, NULL, NULL, NULL}};
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    Etcdserverpb__MemberPromoteRequest request = ETCDSERVERPB__MEMBER_PROMOTE_REQUEST__INIT;
    if (arguments.done)
        return arguments.exit_code;
    int rc = member_parse_id(&arguments, &request.id);
    if (rc == CTL_OK)
        rc = member_check_format(ctl);
    if (rc != CTL_OK)
        return rc;
    Etcdserverpb__MemberPromoteResponse *response =
        (Etcdserverpb__MemberPromoteResponse *)member_call(ctl, "/etcdserverpb.Cluster/MemberPromote", &request.base,
                                                           &etcdserverpb__member_promote_response__descriptor, &rc);
    return response ? member_report(ctl, "promoted in", request.id, response->header, &response->base) : rc;
}

int member_update(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const char *text = "";
    const char *priority_text = "";
    Etcdserverpb__Priority priority = ETCDSERVERPB__PRIORITY__INIT;
    const struct flag table[] = {
        {"peer-urls", 0, FLAG_STRING, &text, "", "comma separated peer URLs of the member"},
        {"priority", 0, FLAG_STRING, &priority_text, "", "who had better lead has a higher one; up to 1000"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    Etcdserverpb__MemberUpdateRequest request = ETCDSERVERPB__MEMBER_UPDATE_REQUEST__INIT;
    struct member_urls urls = {0};
    if (arguments.done)
        return arguments.exit_code;
    int rc = member_parse_id(&arguments, &request.id);
    if (rc == CTL_OK)
        rc = member_check_format(ctl);
    if (rc == CTL_OK)
        rc = member_parse_priority(priority_text, &priority.value);
    if (rc == CTL_OK && (*text || !*priority_text)) /* a priority may come alone */
        rc = member_parse_urls(text, &urls);
    if (rc != CTL_OK)
        return rc;
    request.peerurls = urls.list;
    request.n_peerurls = urls.count;
    request.priority = *priority_text ? &priority : NULL;
    Etcdserverpb__MemberUpdateResponse *response =
        (Etcdserverpb__MemberUpdateResponse *)member_call(ctl, "/etcdserverpb.Cluster/MemberUpdate", &request.base,
                                                          &etcdserverpb__member_update_response__descriptor, &rc);
    mem_free(urls.list);
    if (response && request.priority)
        rc = member_check_priority(response->members, response->n_members, request.id, priority.value);
    if (response && rc != CTL_OK) {
        grpc_message_free(&response->base);
        return rc;
    }
    return response ? member_report(ctl, "updated in", request.id, response->header, &response->base) : rc;
}

/* What the new member's process needs, as etcdctl prints it. */
static void member_print_environment(const char *name, const char *urls,
                                     const Etcdserverpb__MemberAddResponse *response) {
    bool first = true;
    printf("\nETCD_NAME=\"%s\"\nETCD_INITIAL_CLUSTER=\"", name);
    for (size_t at = 0; at < response->n_members; at++) {
        const Etcdserverpb__Member *member = response->members[at];
        for (size_t url = 0; url < member->n_peerurls; url++) {
            printf("%s%s=%s", first ? "" : ",", member->id == response->member->id ? name : member->name,
                   member->peerurls[url]);
            first = false;
        }
    }
    printf("\"\nETCD_INITIAL_ADVERTISE_PEER_URLS=\"%s\"\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n", urls);
}

/* The name and the URLs of member add. Returns an exit code. */
static int member_check_add(const struct arguments *arguments, const char *text, struct member_urls *urls) {
    if (arguments->count == 1)
        return member_parse_urls(text, urls);
    if (arguments->count == 0)
        return ctl_fail(CTL_BAD_ARGUMENTS, "member name not provided");
    for (int at = 0; at < arguments->count; at++)
        if (strncmp(arguments->words[at], "http", 4) == 0)
            return ctl_fail(CTL_BAD_ARGUMENTS, "too many arguments, did you mean --peer-urls=%s", arguments->words[at]);
    return ctl_fail(CTL_BAD_ARGUMENTS, "too many arguments");
}

/* protobuf-c wants texts that may be written to; nobody does. */
static char *member_text(const char *text) {
    union {
        const char *constant;
        char *plain;
    } copy = {.constant = text};
    return copy.plain;
}

int member_add(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const char *text = "";
    const char *priority_text = "";
    bool learner = false;
    bool witness = false;
    const struct flag table[] = {
        {"peer-urls", 0, FLAG_STRING, &text, "", "comma separated peer URLs of the new member"},
        {"priority", 0, FLAG_STRING, &priority_text, "", "who had better lead has a higher one; up to 1000"},
        {"learner", 0, FLAG_BOOL, &learner, NULL, "add it without a vote, to be promoted once it has caught up"},
        {"witness", 0, FLAG_BOOL, &witness, NULL, "it votes and keeps no data"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    struct member_urls urls = {0};
    if (arguments.done)
        return arguments.exit_code;
    Etcdserverpb__MemberAddRequest request;
    etcdserverpb__member_add_request__init(&request);
    int rc = learner && witness ? ctl_fail(CTL_BAD_ARGUMENTS, "a witness votes, and a learner does not")
                                : member_check_format(ctl);
    if (rc == CTL_OK)
        rc = member_parse_priority(priority_text, &request.priority);
    if (rc == CTL_OK)
        rc = member_check_add(&arguments, text, &urls);
    if (rc != CTL_OK)
        return rc;
    request.peerurls = urls.list;
    request.n_peerurls = urls.count;
    request.islearner = learner;
    if (witness)
        request.witness = member_text(arguments.words[0]);
    ProtobufCMessage *message = member_call(ctl, "/etcdserverpb.Cluster/MemberAdd", &request.base,
                                            &etcdserverpb__member_add_response__descriptor, &rc);
    const Etcdserverpb__MemberAddResponse *response = (const Etcdserverpb__MemberAddResponse *)message;
    mem_free(urls.list);
    if (!response)
        return rc;
    if (!response->member) {
        grpc_message_free(message);
        return ctl_fail(CTL_ERROR, "the answer names no member");
    }
    if (ctl->format == CTL_JSON) {
        output_message_json(message);
    } else {
        printf("Member %16" PRIx64 " added to cluster %16" PRIx64 "\n", response->member->id,
               response->header ? response->header->cluster_id : 0);
        member_print_environment(arguments.words[0], text, response);
    }
    if (witness && !response->member->iswitness)
        rc = ctl_fail(CTL_ERROR,
                      "the member that answered knows no witnesses, and has added an ordinary one: remove it");
    else if (request.priority)
        rc = member_check_priority(response->members, response->n_members, response->member->id, request.priority);
    grpc_message_free(message);
    return rc;
}

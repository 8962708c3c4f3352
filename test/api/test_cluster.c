/* SPDX-License-Identifier: Apache-2.0
 *
 * The Cluster service over a real connection, and the strict checks: which change
 * is refused with which of etcd's texts, and what a learner serves.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "api/links.h"
#include "api/reconfig.h"
#include "api/upgrade.h"
#include "lash.pb-c.h"
#include "rpc.pb-c.h"

#define CLUSTER "/etcdserverpb.Cluster/"
#define REFUSED_TO_LEARNERS "etcdserver: rpc not supported for learner"

enum { INVALID_ARGUMENT = 3, NOT_FOUND = 5, EXHAUSTED = 8, FAILED_PRECONDITION = 9, INTERNAL = 13, UNAVAILABLE = 14 };

/* ---- Asking ------------------------------------------------------------------------------------ */

static void forget(ProtobufCMessage *message) {
    protobuf_c_message_free_unpacked(message, NULL);
}

/* A request to add a member at a URL, with its texts. */
struct addition {
    Etcdserverpb__MemberAddRequest request;
    char text[128];
    char *urls[1];
};

static const ProtobufCMessage *addition(struct addition *addition, const char *url, bool learner) {
    etcdserverpb__member_add_request__init(&addition->request);
    snprintf(addition->text, sizeof addition->text, "%s", url);
    addition->urls[0] = addition->text;
    addition->request.peerurls = addition->urls;
    addition->request.n_peerurls = 1;
    addition->request.islearner = learner;
    return &addition->request.base;
}

static Etcdserverpb__MemberAddResponse *add(struct fixture *fixture, const char *url, bool learner) {
    struct addition made;
    return (Etcdserverpb__MemberAddResponse *)peer_rpc(&fixture->peer, CLUSTER "MemberAdd",
                                                       addition(&made, url, learner),
                                                       &etcdserverpb__member_add_response__descriptor);
}

static void add_fails(struct fixture *fixture, const char *url, bool learner, int code, const char *text) {
    struct addition made;
    peer_rpc_fails(&fixture->peer, CLUSTER "MemberAdd", addition(&made, url, learner), code, text);
}

/* Add a learner, and tell its id. */
static uint64_t add_learner(struct fixture *fixture) {
    Etcdserverpb__MemberAddResponse *answer = add(fixture, "http://127.0.0.1:3", true);
    uint64_t id = answer->member->id;
    forget(&answer->base);
    return id;
}

static Etcdserverpb__MemberRemoveRequest removal(uint64_t id) {
    Etcdserverpb__MemberRemoveRequest request = ETCDSERVERPB__MEMBER_REMOVE_REQUEST__INIT;
    request.id = id;
    return request;
}

static size_t remove_member(struct fixture *fixture, uint64_t id) {
    Etcdserverpb__MemberRemoveRequest request = removal(id);
    Etcdserverpb__MemberRemoveResponse *answer = (Etcdserverpb__MemberRemoveResponse *)peer_rpc(
        &fixture->peer, CLUSTER "MemberRemove", &request.base, &etcdserverpb__member_remove_response__descriptor);
    size_t left = answer->n_members;
    forget(&answer->base);
    return left;
}

static void remove_fails(struct fixture *fixture, uint64_t id, int code, const char *text) {
    Etcdserverpb__MemberRemoveRequest request = removal(id);
    peer_rpc_fails(&fixture->peer, CLUSTER "MemberRemove", &request.base, code, text);
}

static void promote_fails(struct fixture *fixture, uint64_t id, int code, const char *text) {
    Etcdserverpb__MemberPromoteRequest request = ETCDSERVERPB__MEMBER_PROMOTE_REQUEST__INIT;
    request.id = id;
    peer_rpc_fails(&fixture->peer, CLUSTER "MemberPromote", &request.base, code, text);
}

static const ProtobufCMessage *update(Etcdserverpb__MemberUpdateRequest *request, struct addition *urls, uint64_t id,
                                      const char *url) {
    etcdserverpb__member_update_request__init(request);
    addition(urls, url, false);
    request->id = id;
    request->peerurls = urls->urls;
    request->n_peerurls = 1;
    return &request->base;
}

static void update_fails(struct fixture *fixture, uint64_t id, const char *url, int code, const char *text) {
    Etcdserverpb__MemberUpdateRequest request;
    struct addition urls;
    peer_rpc_fails(&fixture->peer, CLUSTER "MemberUpdate", update(&request, &urls, id, url), code, text);
}

static Etcdserverpb__MemberUpdateResponse *update_member(struct fixture *fixture, uint64_t id, const char *url) {
    Etcdserverpb__MemberUpdateRequest request;
    struct addition urls;
    return (Etcdserverpb__MemberUpdateResponse *)peer_rpc(&fixture->peer, CLUSTER "MemberUpdate",
                                                          update(&request, &urls, id, url),
                                                          &etcdserverpb__member_update_response__descriptor);
}

/* ---- Changes ----------------------------------------------------------------------------------- */

static void an_added_member_is_unstarted_and_has_an_id_of_its_own(void **state) {
    struct fixture *fixture = *state;
    Etcdserverpb__MemberAddResponse *answer = add(fixture, "http://127.0.0.1:3", false);
    assert_int_equal(answer->header->cluster_id, FIXTURE_CLUSTER);
    assert_int_equal(answer->header->revision, 0);
    assert_int_equal(answer->n_members, 3);
    assert_non_null(answer->member);
    assert_string_equal(answer->member->name, "");
    assert_string_equal(answer->member->peerurls[0], "http://127.0.0.1:3");
    assert_false(answer->member->islearner);
    uint64_t first = answer->member->id;
    assert_true(first != 0 && first != DOUBLE_ID && first != DOUBLE_OTHER_ID);
    for (size_t i = 1; i < answer->n_members; i++)
        assert_true(answer->members[i - 1]->id < answer->members[i]->id);
    forget(&answer->base);

    /* The same URL once more, after a removal, is another member. */
    assert_int_equal(remove_member(fixture, first), 2);
    remove_fails(fixture, first, NOT_FOUND, "etcdserver: member not found");
    answer = add(fixture, "http://127.0.0.1:3", false);
    assert_true(answer->member->id != first);
    forget(&answer->base);
}

static void urls_that_are_none_or_taken_are_refused(void **state) {
    struct fixture *fixture = *state;
    static const char *const wrong[] = {"", "foo", "http://a", "http://a:1/path", "https://a:1", "unix://a:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        add_fails(fixture, wrong[i], false, INVALID_ARGUMENT, "etcdserver: given member URLs are invalid");
    add_fails(fixture, "http://127.0.0.1:1", false, FAILED_PRECONDITION, "etcdserver: Peer URLs already exists");
    add_fails(fixture, "http://127.0.0.1:2", true, FAILED_PRECONDITION, "etcdserver: Peer URLs already exists");

    Etcdserverpb__MemberAddRequest request;
    etcdserverpb__member_add_request__init(&request);
    peer_rpc_fails(&fixture->peer, CLUSTER "MemberAdd", &request.base, INVALID_ARGUMENT,
                   "etcdserver: given member URLs are invalid");
    char first[] = "http://a:1", second[] = "http://b:1";
    char *both[] = {first, second};
    request.peerurls = both;
    request.n_peerurls = 2;
    peer_rpc_fails(&fixture->peer, CLUSTER "MemberAdd", &request.base, INVALID_ARGUMENT,
                   "lash: a member has one peer URL in this version");
}

static void one_learner_at_a_time_and_only_learners_are_promoted(void **state) {
    struct fixture *fixture = *state;
    uint64_t id = add_learner(fixture);
    add_fails(fixture, "http://127.0.0.1:4", true, FAILED_PRECONDITION,
              "etcdserver: too many learner members in cluster");
    promote_fails(fixture, DOUBLE_OTHER_ID, FAILED_PRECONDITION, "etcdserver: can only promote a learner member");
    promote_fails(fixture, 0x77, NOT_FOUND, "etcdserver: member not found");
    double_set_failure_of_changes(fixture->node, LASH_BEHIND);
    promote_fails(fixture, id, FAILED_PRECONDITION,
                  "etcdserver: can only promote a learner member which is in sync with leader");
    double_set_failure_of_changes(fixture->node, LASH_EXISTS); /* somebody else was quicker */
    promote_fails(fixture, id, FAILED_PRECONDITION, "etcdserver: can only promote a learner member");
    double_set_failure_of_changes(fixture->node, 0);
    Etcdserverpb__MemberPromoteRequest request = ETCDSERVERPB__MEMBER_PROMOTE_REQUEST__INIT;
    request.id = id;
    Etcdserverpb__MemberPromoteResponse *answer = (Etcdserverpb__MemberPromoteResponse *)peer_rpc(
        &fixture->peer, CLUSTER "MemberPromote", &request.base, &etcdserverpb__member_promote_response__descriptor);
    assert_int_equal(answer->n_members, 3);
    for (size_t i = 0; i < answer->n_members; i++)
        assert_false(answer->members[i]->islearner);
    forget(&answer->base);
}

static void an_update_changes_the_url_and_nothing_else(void **state) {
    struct fixture *fixture = *state;
    uint64_t id = add_learner(fixture);
    update_fails(fixture, 0x77, "http://127.0.0.1:5", NOT_FOUND, "etcdserver: member not found");
    update_fails(fixture, id, "http://127.0.0.1:2", FAILED_PRECONDITION, "etcdserver: Peer URLs already exists");
    update_fails(fixture, id, "http://", INVALID_ARGUMENT, "etcdserver: given member URLs are invalid");
    forget(&update_member(fixture, id, "http://127.0.0.1:3")->base); /* its own: no change, and no error */
    Etcdserverpb__MemberUpdateResponse *answer = update_member(fixture, DOUBLE_OTHER_ID, "http://127.0.0.1:5");
    assert_int_equal(answer->n_members, 3);
    assert_int_equal(answer->members[1]->id, DOUBLE_OTHER_ID);
    assert_string_equal(answer->members[1]->name, "n2");
    assert_string_equal(answer->members[1]->peerurls[0], "http://127.0.0.1:5");
    assert_false(answer->members[1]->islearner);
    assert_true(answer->members[2]->islearner);
    forget(&answer->base);
}

static void what_the_node_says_of_a_change_is_told_in_etcds_words(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        int error;
        int code;
        const char *text;
    } ends[] = {
        {LASH_EXISTS, FAILED_PRECONDITION, "etcdserver: Peer URLs already exists"},
        {LASH_NOT_FOUND, NOT_FOUND, "etcdserver: member not found"},
        {LASH_INVALID, FAILED_PRECONDITION, "etcdserver: re-configuration failed due to not enough started members"},
        {LASH_TOO_LARGE, FAILED_PRECONDITION, "lash: a cluster has at most 16 members"},
        {LASH_VERSION, FAILED_PRECONDITION, "etcdserver: not capable"},
        {LASH_NO_LEADER, UNAVAILABLE, "etcdserver: no leader"},
        {LASH_DROPPED, UNAVAILABLE, "etcdserver: leader changed"},
        {LASH_TIMEOUT, UNAVAILABLE, "etcdserver: request timed out"},
        {LASH_BUSY, EXHAUSTED, "etcdserver: too many requests"},
        {LASH_CORRUPT, INTERNAL, "lash: this member cannot read its data; see its log"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        double_set_failure_of_changes(fixture->node, ends[i].error);
        add_fails(fixture, "http://127.0.0.1:3", false, ends[i].code, ends[i].text);
    }
    double_set_failure_of_changes(fixture->node, 0);
    double_set_failure(fixture->node, LASH_NO_LEADER); /* of the read that comes before */
    add_fails(fixture, "http://127.0.0.1:3", false, UNAVAILABLE, "etcdserver: no leader");
}

static void a_change_is_refused_while_voters_are_missing(void **state) {
    struct fixture *fixture = *state;
    fixture_await_published(fixture); /* only then this member counts as started */
    add_fails(fixture, "http://127.0.0.1:3", false, UNAVAILABLE, "etcdserver: unhealthy cluster");
    struct lash_observation connected = {.kind = LASH_OBSERVED_CONNECTED, .peer = DOUBLE_OTHER_ID};
    server_observe(fixture->server, &connected); /* but not for long enough */
    add_fails(fixture, "http://127.0.0.1:3", true, UNAVAILABLE, "etcdserver: unhealthy cluster");
    struct lash_observation lost = {.kind = LASH_OBSERVED_DISCONNECTED, .peer = DOUBLE_OTHER_ID};
    server_observe(fixture->server, &lost);
    remove_fails(fixture, DOUBLE_ID, UNAVAILABLE, "etcdserver: unhealthy cluster");
    assert_int_equal(remove_member(fixture, DOUBLE_OTHER_ID), 1); /* it is down, and nothing counts on it */
    remove_fails(fixture, DOUBLE_ID, FAILED_PRECONDITION,
                 "etcdserver: re-configuration failed due to not enough started members");
}

/* ---- Learners ---------------------------------------------------------------------------------- */

static void become(struct fixture *fixture, uint32_t flags) {
    struct lash_observation observation = {.kind = LASH_OBSERVED_CONFIGURATION,
                                           .configuration = double_set_member(fixture->node, DOUBLE_ID, flags)};
    server_observe(fixture->server, &observation);
}

static bool says_that_it_is_a_learner(struct fixture *fixture) {
    Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
    ProtobufCMessage *message = peer_rpc(&fixture->peer, "/etcdserverpb.Maintenance/Status", &request.base,
                                         &etcdserverpb__status_response__descriptor);
    bool learner = ((const Etcdserverpb__StatusResponse *)message)->islearner;
    forget(message);
    return learner;
}

static void a_learner_serves_what_needs_no_majority(void **state) {
    struct fixture *fixture = *state;
    uint8_t key[] = "a";
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    Etcdserverpb__MemberListRequest list = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    range.key = put.key = (ProtobufCBinaryData){1, key};
    become(fixture, 0);
    peer_rpc_fails(&fixture->peer, "/etcdserverpb.KV/Put", &put.base, FAILED_PRECONDITION, REFUSED_TO_LEARNERS);
    peer_rpc_fails(&fixture->peer, "/etcdserverpb.KV/Range", &range.base, FAILED_PRECONDITION, REFUSED_TO_LEARNERS);
    peer_rpc_fails(&fixture->peer, CLUSTER "MemberList", &list.base, FAILED_PRECONDITION, REFUSED_TO_LEARNERS);
    add_fails(fixture, "http://127.0.0.1:3", false, FAILED_PRECONDITION, REFUSED_TO_LEARNERS);
    range.serializable = true;
    forget(peer_rpc(&fixture->peer, "/etcdserverpb.KV/Range", &range.base, &etcdserverpb__range_response__descriptor));
    assert_true(says_that_it_is_a_learner(fixture));
    become(fixture, LASH_MEMBER_VOTER);
    fixture_put(&fixture->peer, "a", "1");
    assert_false(says_that_it_is_a_learner(fixture));
}

static void a_member_that_joins_lists_nobody_yet(void **state) {
    struct fixture *fixture = *state;
    double_join(fixture->node);
    Etcdserverpb__MemberListRequest list = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
    Etcdserverpb__MemberListResponse *answer = (Etcdserverpb__MemberListResponse *)peer_rpc(
        &fixture->peer, CLUSTER "MemberList", &list.base, &etcdserverpb__member_list_response__descriptor);
    assert_int_equal(answer->n_members, 0);
    forget(&answer->base);
}

/* ---- Parts ------------------------------------------------------------------------------------- */

static void connections_count_from_when_they_came(void **state) {
    struct links links;
    uint64_t since;
    (void)state;
    links_open(&links);
    struct lash_observation observation = {.kind = LASH_OBSERVED_CONNECTED, .peer = 7};
    assert_false(links_connected(&links, 7, &since));
    links_observe(&links, &observation, 100);
    links_observe(&links, &observation, 200); /* told again: it has been there all the time */
    observation.peer = 8;
    links_observe(&links, &observation, 300);
    assert_true(links_connected(&links, 7, &since));
    assert_int_equal(since, 100);
    observation = (struct lash_observation){.kind = LASH_OBSERVED_ROLE, .peer = 8};
    links_observe(&links, &observation, 400);
    assert_true(links_connected(&links, 8, &since));
    assert_int_equal(since, 300);
    observation = (struct lash_observation){.kind = LASH_OBSERVED_DISCONNECTED, .peer = 7};
    links_observe(&links, &observation, 500);
    assert_false(links_connected(&links, 7, &since));
    assert_true(links_connected(&links, 8, &since));
    for (lash_id id = 100; id < 100 + 2 * LINKS_MAX; id++) { /* more than there can be are not kept */
        observation = (struct lash_observation){.kind = LASH_OBSERVED_CONNECTED, .peer = id};
        links_observe(&links, &observation, 600);
    }
    assert_int_equal(links.count, LINKS_MAX);
    links_close(&links);
}

/* A group in letters: 'v' a voter that is well, 'n' one that is new (not started), 'd' one that is down, 'y' one that is
 * connected, but not for long; 'l' a learner. Ids are from 1 on. */
static size_t group(const char *letters, struct reconfig_member *members) {
    size_t count = strlen(letters);
    for (size_t i = 0; i < count; i++)
        members[i] = (struct reconfig_member){.id = i + 1,
                                              .voter = letters[i] != 'l',
                                              .started = letters[i] != 'n',
                                              .connected = letters[i] == 'v' || letters[i] == 'y',
                                              .healthy = letters[i] == 'v'};
    return count;
}

static void a_change_must_leave_a_majority_that_is_there(void **state) {
    enum { NEW = API_MEMBER_NOT_STARTED, SICK = API_UNHEALTHY };
    struct reconfig_member members[LASH_RAFT_MEMBERS_MAX];
    static const struct {
        const char *members;
        int add, add_learner, promote, remove_first, remove_last;
    } cases[] = {
        {"v", 0, 0, 0, NEW, NEW},        {"vl", 0, 0, 0, NEW, 0},           {"vn", NEW, SICK, 0, NEW, 0},
        {"vv", 0, 0, 0, 0, 0},           {"vy", SICK, SICK, 0, SICK, SICK}, {"vd", SICK, SICK, 0, SICK, 0},
        {"vvv", 0, 0, 0, 0, 0},          {"vvd", SICK, SICK, 0, SICK, 0},   {"vvn", NEW, SICK, 0, NEW, 0},
        {"vvvnn", NEW, SICK, 0, NEW, 0}, {"vnn", NEW, SICK, NEW, NEW, NEW}, {"vvvvv", 0, 0, 0, 0, 0},
        {"vvvvd", SICK, SICK, 0, 0, 0},  {"vvvdd", SICK, SICK, 0, SICK, 0}, {"vvvy", SICK, SICK, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t count = group(cases[i].members, members);
        print_message("%s\n", cases[i].members);
        assert_int_equal(reconfig_may_add(members, count, true), cases[i].add);
        assert_int_equal(reconfig_may_add(members, count, false), cases[i].add_learner);
        assert_int_equal(reconfig_may_promote(members, count), cases[i].promote);
        assert_int_equal(reconfig_may_remove(members, count, 1), cases[i].remove_first);
        assert_int_equal(reconfig_may_remove(members, count, count), cases[i].remove_last);
    }
}

/* ---- The cluster's version --------------------------------------------------------------------- */

static void a_version_counts_as_known_once_every_member_announces_it(void **state) {
    struct lash_raft_status raft = {.id = 1,
                                    .configuration = {.count = 3, .members = {{.id = 1}, {.id = 2}, {.id = 3}}}};
    struct lash_metrics metrics = {.peer_count = 3,
                                   .peers = {{.id = 9, .connected = true}, /* no member */
                                             {.id = 3, .connected = true, .features = 1},
                                             {.id = 2, .connected = true, .features = 3}}};
    (void)state;
    assert_true(upgrade_is_known(&raft, &metrics, 2));
    metrics.peers[1].features = 2; /* another one */
    assert_false(upgrade_is_known(&raft, &metrics, 2));
    metrics.peers[1].features = 1;
    metrics.peers[1].connected = false;
    assert_false(upgrade_is_known(&raft, &metrics, 2));
    metrics.peers[1].connected = true;
    metrics.peers[2].id = 7; /* a member that is no peer yet */
    assert_false(upgrade_is_known(&raft, &metrics, 2));
    raft.configuration.count = 1;
    assert_true(upgrade_is_known(&raft, &metrics, 2));
    raft.configuration.count = 0;
    assert_false(upgrade_is_known(&raft, &metrics, 2));
}

/* The leader looks by itself, once a second. */
static void a_leader_raises_the_version_when_all_know_the_next(void **state) {
    struct fixture *fixture = *state;
    struct lash_metrics metrics = {.peer_count = 1,
                                   .peers = {{.id = DOUBLE_OTHER_ID, .connected = true, .features = SERVER_FEATURES}}};
    const Lash__StatusRequest request = LASH__STATUS_REQUEST__INIT;
    fixture_await_published(fixture);
    double_set_metrics(fixture->node, &metrics);
    double_await_applied(fixture->node, 2); /* what it published, and the new version */
    ProtobufCMessage *message =
        peer_rpc(&fixture->peer, "/lash.Observation/Status", &request.base, &lash__status_response__descriptor);
    assert_int_equal(((const Lash__StatusResponse *)message)->cluster_version, STORE_VERSION_NEWEST);
    assert_int_equal(((const Lash__StatusResponse *)message)->version, STORE_VERSION_NEWEST);
    forget(message);
}

static int setup_unchecked(void **state) {
    fixture_options.reconfig_unchecked = true;
    return fixture_setup(state);
}

#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define UNCHECKED(name) cmocka_unit_test_setup_teardown(name, setup_unchecked, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        UNCHECKED(an_added_member_is_unstarted_and_has_an_id_of_its_own),
        UNCHECKED(urls_that_are_none_or_taken_are_refused),
        UNCHECKED(one_learner_at_a_time_and_only_learners_are_promoted),
        UNCHECKED(an_update_changes_the_url_and_nothing_else),
        UNCHECKED(what_the_node_says_of_a_change_is_told_in_etcds_words),
        SCENARIO(a_change_is_refused_while_voters_are_missing),
        SCENARIO(a_learner_serves_what_needs_no_majority),
        SCENARIO(a_member_that_joins_lists_nobody_yet),
        SCENARIO(a_leader_raises_the_version_when_all_know_the_next),
        cmocka_unit_test(a_version_counts_as_known_once_every_member_announces_it),
        cmocka_unit_test(connections_count_from_when_they_came),
        cmocka_unit_test(a_change_must_leave_a_majority_that_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

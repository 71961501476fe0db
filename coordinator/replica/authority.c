/* authority.c - who may propose what (docs/decisions/0015).
 *
 *   office     words of whoever leads, about time, roles, numbers and states: never by a link
 *   node       what a node says of itself, and of guests whose home it is
 *   member     everything else, in the name of a principal whom a voter or standby has let in
 *
 * A command names its proposer's incarnation; what comes by a link names that of the link's other
 * end or none, so that the state machine may rely on it. */
#include <string.h>

#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"

enum speaker {
    SPEAKER_OFFICE,
    SPEAKER_NODE,
    SPEAKER_MEMBER,
};

const char replica_own_principal[] = "rayos";

/* The home of a guest says what it has done and seen; what another is to do, members say. */
static enum speaker speaker_of_outcome(const Rayos__Registry__Outcome *outcome)
{
    switch (outcome->entry) {
    case RAYOS__REGISTRY__ORIGIN__ORIGIN_START:
    case RAYOS__REGISTRY__ORIGIN__ORIGIN_STOPPED:
    case RAYOS__REGISTRY__ORIGIN__ORIGIN_MIGRATION:
    case RAYOS__REGISTRY__ORIGIN__ORIGIN_CANCEL:
        return SPEAKER_NODE;
    default:
        return SPEAKER_MEMBER;
    }
}

static enum speaker speaker_of(const Rayos__Registry__Command *command)
{
    switch (command->body_case) {
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT:
    case RAYOS__REGISTRY__COMMAND__BODY_GUEST_REPORT:
        return SPEAKER_NODE;
    case RAYOS__REGISTRY__COMMAND__BODY_OUTCOME:
        return speaker_of_outcome(command->outcome);
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT:
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL:
    case RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE:
    case RAYOS__REGISTRY__COMMAND__BODY_SESSION_OPEN:
    case RAYOS__REGISTRY__COMMAND__BODY_SESSION_KEEP:
    case RAYOS__REGISTRY__COMMAND__BODY_SESSION_CLOSE:
    case RAYOS__REGISTRY__COMMAND__BODY_TIMING_SET:
    case RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN:
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE:
    case RAYOS__REGISTRY__COMMAND__BODY_MIGRATION_OPEN:
    case RAYOS__REGISTRY__COMMAND__BODY_VOLUME_ATTACH:
    case RAYOS__REGISTRY__COMMAND__BODY_VOLUME_DETACH:
    case RAYOS__REGISTRY__COMMAND__BODY_CONFIRM_OFF:
    case RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD:
    case RAYOS__REGISTRY__COMMAND__BODY_POLICY_SET:
    case RAYOS__REGISTRY__COMMAND__BODY_POLICY_CONFIRM:
    case RAYOS__REGISTRY__COMMAND__BODY_POLICY_REVERT:
    case RAYOS__REGISTRY__COMMAND__BODY_OPERATION_DECIDE:
        return SPEAKER_MEMBER;
    default: /* also what is new and was not thought of here */
        return SPEAKER_OFFICE;
    }
}

static bool is_id(const ProtobufCBinaryData *field, const struct ray_id *id)
{
    return field->len == RAY_ID_SIZE && memcmp(field->data, id->bytes, RAY_ID_SIZE) == 0;
}

/* Of no other node. What is about a guest the state machine compares with the guest's home. */
static bool is_about(const Rayos__Registry__Command *command, const struct ray_id *node)
{
    switch (command->body_case) {
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT:
        return is_id(&command->node_admit->node, node);
    case RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT:
        return is_id(&command->node_report->node, node);
    default:
        return true;
    }
}

static const char *why_not(const struct replica_peer *peer, const Rayos__Registry__Command *command)
{
    const Rayos__Registry__Header *header = command->header;
    enum speaker speaker = speaker_of(command);

    if (speaker == SPEAKER_OFFICE) {
        return "the leader alone says that";
    }
    if (header->incarnation.len > 0 && !is_id(&header->incarnation, &peer->said.incarnation)) {
        return "it names another incarnation as its proposer";
    }
    if (speaker == SPEAKER_NODE && !is_about(command, &peer->node)) {
        return "it is about another node";
    }
    if (peer->is_colleague) {
        return NULL;
    }
    if (speaker == SPEAKER_MEMBER) {
        return "only voters and standbys speak for principals";
    }
    return strcmp(header->principal, replica_own_principal) == 0
               ? NULL
               : "it names a principal who is not the node itself";
}

bool replica_may_propose(struct coord_replica *r, const struct replica_peer *peer,
                         const Rayos__Registry__Command *command)
{
    char id[RAY_ID_TEXT_SIZE];
    const char *why = why_not(peer, command);

    if (why == NULL || RAY_MUTANT(REPLICA_PROPOSALS_OF_ANYBODY)) {
        return true;
    }
    replica_log(r, RAY_LOG_WARN, "a command (%d) of node %s is refused: %s",
                (int)command->body_case, ray_id_format(&peer->node, id), why);
    return false;
}

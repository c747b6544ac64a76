"""What the webhook takes and answers, as OpenAPI 3.1."""

from ..formats.events import MAX_BYTES, MAX_ROWS, PROPERTIES, REQUIRED

ROOT = "/library_crm/v1"
#: Of the refused uses of a batch, this many are told in the answer.
TOLD = 100


def get_openapi(host):
    """The description of the routes of ``webhook``.

    :param str host: address of this server
    :rtype: dict
    """
    problem = {
        "description": "What is wrong.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    outcome = {"application/json": {"schema": {"$ref": "#/components/schemas/Outcome"}}}
    count = {"type": "integer", "minimum": 0}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Library CRM: use of services",
            "version": "1",
            "description": "Send how often services were used. A use has a key of the "
            "sender's own and is counted once, however often it is sent. What somebody "
            "read, borrowed or searched for is not kept: do not send it.",
        },
        "servers": [{"url": host.rstrip("/")}],
        "security": [{"key": []}],
        "paths": {
            f"{ROOT}/sources/{{source}}/uses": {
                "post": {
                    "operationId": "sendUses",
                    "summary": "Send a batch of uses",
                    "parameters": [
                        {
                            "name": "source",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "integer"},
                            "description": "The number of the source; its form shows "
                            "the whole address.",
                        },
                        {
                            "name": "dry_run",
                            "in": "query",
                            "schema": {"type": "string", "enum": ["0", "1"]},
                            "description": "1: only say what would be counted.",
                        },
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Batch"},
                                "example": {
                                    "uses": [
                                        {
                                            "key": "gate-1/2026-11-02T10:15",
                                            "date": "2026-11-02",
                                            "service": "visit",
                                            "branch": "MAIN",
                                            "quantity": 12,
                                        }
                                    ]
                                },
                            }
                        },
                    },
                    "responses": {
                        "200": {"description": "Counted.", "content": outcome},
                        "202": {
                            "description": "Kept, and counted when it is its turn; the "
                            "header Location says where to ask.",
                            "content": outcome,
                        },
                        "400": problem,
                        "401": {"description": "The key is missing or not valid."},
                        "404": problem,
                        "413": {"description": f"More than {MAX_BYTES} bytes."},
                        "429": problem,
                    },
                }
            },
            f"{ROOT}/loads/{{load}}": {
                "get": {
                    "operationId": "getLoad",
                    "summary": "Ask what has come of a batch",
                    "parameters": [
                        {
                            "name": "load",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "integer"},
                        }
                    ],
                    "responses": {
                        "200": {"description": "The outcome.", "content": outcome},
                        "404": problem,
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of the sender: My Preferences / "
                    "Security / API Keys.",
                }
            },
            "schemas": {
                "Use": {
                    "type": "object",
                    "required": list(REQUIRED),
                    "properties": PROPERTIES,
                },
                "Batch": {
                    "type": "object",
                    "required": ["uses"],
                    "properties": {
                        "uses": {
                            "type": "array",
                            "maxItems": MAX_ROWS,
                            "items": {"$ref": "#/components/schemas/Use"},
                        }
                    },
                },
                "Outcome": {
                    "type": "object",
                    "properties": {
                        "load": {"type": "integer"},
                        "state": {
                            "type": "string",
                            "enum": [
                                "queued",
                                "running",
                                "done",
                                "failed",
                                "cancelled",
                            ],
                        },
                        "dry_run": {"type": "boolean"},
                        "rows": count,
                        "new": count,
                        "unchanged": {
                            **count,
                            "description": "Their keys were sent before.",
                        },
                        "ignored": count,
                        "refused": count,
                        "refusals": {
                            "type": "array",
                            "maxItems": TOLD,
                            "items": {
                                "type": "object",
                                "properties": {
                                    "row": {
                                        "type": "integer",
                                        "description": "Its place, from 1.",
                                    },
                                    "reason": {"type": "string"},
                                },
                            },
                        },
                        "dropped": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "Properties that are not kept.",
                        },
                        "message": {"type": "string"},
                    },
                },
                "Problem": {
                    "type": "object",
                    "properties": {
                        "error": {
                            "type": "object",
                            "properties": {
                                "where": {"type": "string"},
                                "message": {"type": "string"},
                            },
                        }
                    },
                },
            },
        },
    }

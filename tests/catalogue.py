"""What is in a database: everything that PostgreSQL's catalogue knows, and what
modules write into Odoo's own tables."""

from contextlib import closing

import odoo.sql_db

#: What PostgreSQL keeps, each with its kind first. Temporary and system schemas, and
#: what extensions bring, are none of anybody's.
SCHEMA = {
    "schema": "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'",
    "relation": """
        SELECT relkind::text, relname, relpersistence::text
          FROM pg_class WHERE relnamespace = 'public'::regnamespace
    """,
    "column": """
        SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull,
               pg_get_expr(adbin, adrelid)
          FROM pg_attribute
          JOIN pg_class ON pg_class.oid = attrelid
     LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
           AND attnum > 0 AND NOT attisdropped
    """,
    "index": "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraint": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
          FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "view": """
        SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'
         UNION
        SELECT matviewname, definition FROM pg_matviews WHERE schemaname = 'public'
    """,
    "function": """
        SELECT proname, pg_get_function_identity_arguments(oid), md5(prosrc)
          FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """,
    "trigger": """
        SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal
    """,
    "type": """
        SELECT typname, typtype::text FROM pg_type
         WHERE typnamespace = 'public'::regnamespace AND typtype != 'c'
           AND typname !~ '^_'
    """,
    "extension": "SELECT extname FROM pg_extension",
    "rule": """
        SELECT schemaname || '.' || tablename, rulename FROM pg_rules
         WHERE schemaname = 'public'
    """,
    "policy": "SELECT tablename::text, policyname::text FROM pg_policies",
    "event trigger": "SELECT evtname FROM pg_event_trigger",
    "statistics": "SELECT stxname FROM pg_statistic_ext",
    "remark": """
        SELECT classoid::regclass::text, objoid::regclass::text, objsubid, description
          FROM pg_description
          JOIN pg_class ON pg_class.oid = objoid AND classoid = 'pg_class'::regclass
         WHERE relnamespace = 'public'::regnamespace
    """,
}
#: What Odoo keeps in rows of its own, by something that is the same in each database.
RECORDS = {
    "model": "SELECT model FROM ir_model",
    "field": "SELECT model, name FROM ir_model_fields",
    "choice": """
        SELECT field.model, field.name, value FROM ir_model_fields_selection
          JOIN ir_model_fields field ON field.id = field_id
    """,
    "inheritance": """
        SELECT one.model, other.model FROM ir_model_inherit
          JOIN ir_model one ON one.id = model_id
          JOIN ir_model other ON other.id = parent_id
    """,
    "constraint of a model": """
        SELECT model.model, ir_model_constraint.name FROM ir_model_constraint
          JOIN ir_model model ON model.id = ir_model_constraint.model
    """,
    "relation of models": "SELECT name FROM ir_model_relation",
    "view of Odoo": "SELECT model, name, key FROM ir_ui_view",
    "menu": "SELECT name->>'en_US' FROM ir_ui_menu",
    "access": "SELECT name FROM ir_model_access",
    "rule of access": "SELECT name FROM ir_rule",
    "group": "SELECT name->>'en_US' FROM res_groups",
    "group inheritance": """
        SELECT one.name->>'en_US', other.name->>'en_US' FROM res_groups_implied_rel
          JOIN res_groups one ON one.id = gid JOIN res_groups other ON other.id = hid
    """,
    "privilege": "SELECT name->>'en_US' FROM res_groups_privilege",
    "job": "SELECT cron_name FROM ir_cron",
    "action": "SELECT type, name->>'en_US' FROM ir_actions",
    "parameter": "SELECT key FROM ir_config_parameter",
    "default": """
        SELECT field.model, field.name FROM ir_default
          JOIN ir_model_fields field ON field.id = field_id
    """,
    "filter": "SELECT model_id, name FROM ir_filters",
    "sequence": "SELECT code, name FROM ir_sequence",
    "asset": "SELECT name, path FROM ir_asset",
    "mail template": "SELECT model, name->>'en_US' FROM mail_template",
    "kind of activity": "SELECT name->>'en_US' FROM mail_activity_type",
    "subtype": "SELECT res_model, name->>'en_US' FROM mail_message_subtype",
    "tip": "SELECT name->>'en_US' FROM digest_tip",
    "dashboard": "SELECT name->>'en_US' FROM spreadsheet_dashboard",
    "team": "SELECT name->>'en_US' FROM crm_team",
    "stage": "SELECT name->>'en_US' FROM crm_stage",
}


def read(database: str, *queries: dict[str, str]) -> set[tuple]:
    """What is there, each with its kind first."""
    found = set()
    with closing(odoo.sql_db.db_connect(database).cursor()) as cr:
        for kind, query in [item for given in queries for item in given.items()]:
            cr.execute(query)
            found.update((kind, *row) for row in cr.fetchall())
    odoo.sql_db.close_db(database)
    return found


def find_words(database: str, pattern: str) -> set[tuple]:
    """Where a pattern stands in any column of any table that holds words.

    :return: table, column and what is written there, cut short
    """
    found = set()
    with closing(odoo.sql_db.db_connect(database).cursor()) as cr:
        cr.execute(
            """
            SELECT relname, attname
              FROM pg_attribute
              JOIN pg_class ON pg_class.oid = attrelid
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               AND attnum > 0 AND NOT attisdropped
               AND atttypid IN ('text'::regtype, 'varchar'::regtype, 'jsonb'::regtype)
            """
        )
        for table, column in cr.fetchall():
            cr.execute(
                f'SELECT DISTINCT left("{column}"::text, 200) FROM "{table}" '
                f'WHERE "{column}"::text ~ %s',
                [pattern],
            )
            found.update((table, column, text) for (text,) in cr.fetchall())
    odoo.sql_db.close_db(database)
    return found
